/** The files of Swagger UI that the page loads. They are larger than the rest of the program: only the page imports them. */
import styles from 'swagger-ui-dist/swagger-ui.css' with { type: 'text' }
import script from 'swagger-ui-dist/swagger-ui-bundle.js' with { type: 'text' }

export const SWAGGER_UI = { script, styles }
