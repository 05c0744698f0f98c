// A plugin of textlint that hands it the comments and the sentences in strings of code, without `code`, {values} and addresses.
const HASH = /(?<=^|\s)#.*/;
const DOUBLE = /"(?:\\.|[^"\\\n])*"/;
const SINGLE = /'(?:\\.|[^'\\\n])*'/;
const YAML = [HASH, /(?<=: )[A-Z].*/];
const PROSE = {
  ".bicep": [/\/\/.*/, SINGLE],
  ".json": [DOUBLE],
  ".ps1": [HASH, DOUBLE, SINGLE],
  ".py": [/#.*/, /"""[^]*?"""/, DOUBLE, SINGLE],
  ".sh": [HASH, DOUBLE],
  ".yaml": YAML,
  ".yml": YAML,
};
const SENTENCE = /\S\s+\S+\s+\S/;
const PIECE = /`[^`\n]*`|\{[^{}\n]*\}|https?:\S+|((?:(?!https?:)[^`{\n])+)/g;

function node(type, text, start, end, more) {
  const place = (index) => {
    const before = text.slice(0, index);
    return { line: before.split("\n").length, column: index - before.lastIndexOf("\n") - 1 };
  };
  const loc = { start: place(start), end: place(end) };
  return { type, raw: text.slice(start, end), range: [start, end], loc, ...more };
}

class Processor {
  availableExtensions() {
    return Object.keys(PROSE);
  }

  processor(extension) {
    const prose = new RegExp(PROSE[extension].map((part) => part.source).join("|"), "gm");
    return {
      preProcess(text) {
        const children = [];
        for (const { 0: part, index } of text.matchAll(prose)) {
          if (!SENTENCE.test(part)) continue;
          for (const { 1: piece, index: offset } of part.matchAll(PIECE)) {
            if (!piece) continue;
            const range = [index + offset, index + offset + piece.length];
            const words = node("Str", text, ...range, { value: piece });
            children.push(node("Paragraph", text, ...range, { children: [words] }));
          }
        }
        return node("Document", text, 0, text.length, { children });
      },
      postProcess: (messages, filePath) => ({ messages, filePath }),
    };
  }
}

module.exports = { Processor };
