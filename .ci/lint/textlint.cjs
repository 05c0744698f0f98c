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

module.exports = {
  plugins: { [require.resolve("./prose-in-code.cjs")]: true },
  // Website Contributor is a role of Azure, Microsoft Graph Command Line Tools a client, and json the value of an option.
  rules: { terminology: { terms: PRIVATE_WORDS, exclude: ["ID", "JSON", "Readme", "web[- ]?site(s)?", "command ?line tool(s)?"] } },
};
