// The words of the project's prose: in Markdown, and in the comments, docstrings and messages of code.
const PRIVATE_WORDS = [
  ["mend(s|ed|ing)?", "fix"],
  ["(tell|tells|telling|told)", "report"],
  ["look(s|ed|ing)? at", "check"],
  ["com(e|es|ing) and go(es|ing)?", "change"],
  ["(stand|stands|standing|stood) (in|for)", "be in"],
  ["of now", "current"],
  ["(say|says|said) so", "report it"],
  ["what an operator types", "the commands"],
];

// Defaults that would change names: of a file, an option, a role, and an app of Microsoft's.
const NAMES = ["readme(s)?", "JSON", "web[- ]?site(s)?", "command ?line tool(s)?"];

module.exports = {
  plugins: { [require.resolve("./prose-in-code.cjs")]: true },
  rules: { terminology: { terms: PRIVATE_WORDS, exclude: ["ID", ...NAMES] } },
};
