// Analyses KQL with Microsoft's own language service, offline.
// stdin:  {"tables": {name: "(Column: type, ...)"}, "queries": {name: text}}
// stdout: {name: {"diagnostics": ["KS142 (9..14) ..."], "columns": {name: type}, "words": ["TakeOperator", "now", ...]}}
// `words` are the kinds of the query's operators, and the names of the functions and plugins that it calls.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import vm from "node:vm";

const resolve = createRequire(import.meta.url).resolve;
for (const file of ["bridge.min.js", "Kusto.Language.Bridge.min.js"]) {
  // The package is made for browsers: its scripts define globals, and importing them would hide those.
  const path = resolve(`@kusto/language-service-next/${file}`);
  vm.runInThisContext(readFileSync(path, "utf8"), { filename: path });
}
const { GlobalState, KustoCode, Symbols, Syntax } = globalThis.Kusto.Language;

const list = (items) => Array.from({ length: items.Count }, (_, index) => items.getItem(index));

const { tables, queries } = JSON.parse(readFileSync(0, "utf8"));
const symbols = Object.entries(tables).map(([name, columns]) => Symbols.TableSymbol.From(columns).WithName(name));
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor("workspace", symbols));

const analysed = (text) => {
  const code = KustoCode.ParseAndAnalyze(text, globals);
  const words = new Set();
  Syntax.SyntaxElement.WalkNodes(code.Syntax, (node) => {
    const kind = node.$$fullname.split(".").at(-1);
    if (kind.endsWith("Operator")) words.add(kind);
    if (kind === "FunctionCallExpression") words.add(node.Name.SimpleName);
  });
  const columns = list(code.ResultType?.Columns ?? { Count: 0 }).map((column) => [column.Name, column.Type.Name]);
  return {
    diagnostics: list(code.GetDiagnostics()).map((d) => `${d.Code} (${d.Start}..${d.End}) ${d.Message}`),
    columns: Object.fromEntries(columns),
    words: [...words],
  };
};
const answers = Object.entries(queries).map(([name, text]) => [name, analysed(text)]);
process.stdout.write(JSON.stringify(Object.fromEntries(answers)));
