declare module '*.sql' {
  const text: string
  export default text
}

declare module '*.css' {
  const text: string
  export default text
}

declare module 'swagger-ui-dist/swagger-ui-bundle.js' {
  const text: string
  export default text
}

declare module '*/checkpoint-worker.js' {
  const text: string
  export default text
}
