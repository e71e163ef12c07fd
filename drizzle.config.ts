import { defineConfig } from 'drizzle-kit'

export default defineConfig({
  dialect: 'sqlite',
  schema: ['./src/db/sqlite/schema.ts', './src/db/sqlite/ledger/schema.ts'],
  out: './drizzle/sqlite',
})
