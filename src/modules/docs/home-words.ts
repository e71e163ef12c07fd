/** What the page at `/` says, in each language. The texts are HTML. */

type Section = { readonly title: string; readonly text: string; readonly items: readonly string[] }

export type HomeWords = {
  readonly lang: string
  readonly what: string
  readonly holders: Section
  /** Said before the list of mounts. */
  readonly mountsAre: string
  readonly noMounts: string
  readonly operators: Section
  readonly footer: string
}

const en: HomeWords = {
  lang: 'en',
  what: 'This server passes calls on to other APIs. It hands out API keys with hard quotas: a key works until its quota is used up, it expires, or the operator takes it back.',
  holders: {
    title: 'You have a key',
    text: 'Send it with every call, in one of these headers. Never put it into a URL.',
    items: [
      '<code>X-API-Key: &lt;your key&gt;</code>',
      '<code>Authorization: Bearer &lt;your key&gt;</code>, as OpenAI’s clients do',
      'What is left, and what the key may do: <code>GET /me</code>. Money is in millionths there: 1500000 is 1.50',
      'A call to any allowed URL: <code>POST /proxy</code> with <code>{"endpoint": "https://…"}</code>',
      'A call of an upstream: <code>/u/&lt;its name&gt;/…</code>',
    ],
  },
  mountsAre: 'Let the base URL of your client be this address with one of:',
  noMounts: 'No upstream has a path of its own here yet.',
  operators: {
    title: 'You run this server',
    text: 'Hand out keys with <code>quota-proxy keys create</code>, or with the admin token over HTTP.',
    items: [
      '<a href="/swagger">The API, to read and to try</a>, and <a href="/swagger/json">as an OpenAPI document</a>',
      'All commands: <code>quota-proxy --help</code>. All settings: <code>quota-proxy config</code>',
      'Is everything in order? <a href="/readyz?verbose">/readyz</a> and <code>quota-proxy doctor</code>',
      'The guides are in <code>README.md</code> and <code>docs/</code> of the program’s sources.',
    ],
  },
  footer: 'This page is for people. Programs get JSON.',
}

const zh: HomeWords = {
  lang: 'zh-CN',
  what: '本服务把调用转发到其他 API，并发放带硬性配额的 API 密钥：配额用完、密钥过期或被管理员收回之前，密钥一直可用。',
  holders: {
    title: '持有密钥的人',
    text: '每次调用都用下面任一请求头带上密钥，切勿写进 URL。',
    items: [
      '<code>X-API-Key: &lt;你的密钥&gt;</code>',
      '<code>Authorization: Bearer &lt;你的密钥&gt;</code>，OpenAI 客户端即用此方式',
      '查看剩余配额和密钥权限：<code>GET /me</code>，其中的金额以百万分之一为单位：1500000 表示 1.50',
      '调用任何允许的地址：<code>POST /proxy</code>，请求体为 <code>{"endpoint": "https://…"}</code>',
      '按名称调用上游：<code>/u/&lt;上游名称&gt;/…</code>',
    ],
  },
  mountsAre: '客户端的 base URL 填本站地址，再加上其中之一：',
  noMounts: '目前还没有上游挂载在单独的路径上。',
  operators: {
    title: '管理本服务的人',
    text: '用 <code>quota-proxy keys create</code> 发放密钥，也可以带上管理令牌通过 HTTP 操作。',
    items: [
      '<a href="/swagger">接口文档，可在线试用</a>；<a href="/swagger/json">OpenAPI 文件</a>',
      '全部命令：<code>quota-proxy --help</code>；全部配置：<code>quota-proxy config</code>',
      '一切正常吗？<a href="/readyz?verbose">/readyz</a> 与 <code>quota-proxy doctor</code>',
      '使用说明见源码中的 <code>README.zh-CN.md</code> 与 <code>docs/zh/</code>。',
    ],
  },
  footer: '本页供人阅读；程序得到的是 JSON。',
}

export const HOME_WORDS = { en, zh } as const
