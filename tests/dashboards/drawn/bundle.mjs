// Bundles page.jsx with Grafana's libraries into node_modules/.drawn/page.js, which the browser loads: `node bundle.mjs`.
import { build } from 'esbuild';
import { fileURLToPath } from 'node:url';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));

await build({
  entryPoints: [here('page.jsx')],
  outfile: here('node_modules/.drawn/page.js'),
  bundle: true,
  format: 'iife',
  target: 'chrome120',
  jsx: 'automatic',
  minify: true,
  legalComments: 'none',
  logLevel: 'error',
  define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
  loader: { '.svg': 'text', '.ttf': 'empty' },
});
