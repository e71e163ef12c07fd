import { defineConfig } from 'drizzle-kit'

export default defineConfig({
  dialect: 'postgresql',
  schema: ['./src/db/postgres/schema.ts', './src/db/postgres/ledger/schema.ts'],
  out: './drizzle/postgres',
})
