/** By which the request came; without a host, the URL does not say, and it is taken for plain HTTP. */
export function schemeOf({ url }: Request): 'http' | 'https' {
  return url.startsWith('https:') ? 'https' : 'http'
}
