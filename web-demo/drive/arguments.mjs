// Command lines of the drives: `--name value` and `--name`; unknown names are an error that names them. Exit code 2.

export function readArguments(argv, known) {
  const values = Object.fromEntries(Object.entries(known).map(([name, spec]) => [name, Array.isArray(spec) ? [...spec] : spec]));
  for (let at = 0; at < argv.length; at += 1) {
    const [name, inline] = argv[at].replace(/^--/, "").split(/=(.*)/s);
    if (!argv[at].startsWith("--") || !(name in known)) {
      console.error(`unknown argument ${argv[at]}; known: ${Object.keys(known).map((key) => `--${key}`).join(" ")}`);
      process.exit(2);
    }
    if (typeof known[name] === "boolean") {
      values[name] = true;
      continue;
    }
    const value = inline ?? argv[(at += 1)];
    if (value === undefined) {
      console.error(`--${name} wants a value`);
      process.exit(2);
    }
    if (Array.isArray(known[name])) values[name].push(value);
    else values[name] = typeof known[name] === "number" ? Number(value) : value;
  }
  return values;
}
