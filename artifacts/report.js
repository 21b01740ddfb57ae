// The blind test of the report: rounds of original, A and B; a tally; who was who at the end.
// It reads the players further down the page (data-sound, data-kind, data-vocoder) and keeps
// everything in these variables: nothing is sent, nothing is stored.
"use strict";
(() => {
  const at = (id) => document.getElementById(id);
  const players = { original: at("blind-original"), a: at("blind-a"), b: at("blind-b") };
  const buttons = [...document.querySelectorAll("#blind [data-choice]")];
  const clips = [...document.querySelectorAll("audio[data-sound]")].map((audio) => ({
    src: audio.src, ...audio.dataset,
  }));
  const sounds = [...new Set(clips.map((clip) => clip.sound))];
  const SOURCES = { mel: "from the true mel", model: "from the model's mel" };

  // What can be compared, and which pairs of a sound's copies that makes.
  const pairs = (voices) =>
    voices.flatMap((one, i) => voices.slice(i + 1).map((other) => [one, other]));
  const vocodersFrom = (kind) => (sound) =>
    pairs(clips.filter((clip) => clip.sound === sound && clip.kind === kind)
      .map((clip) => ({ ...clip, voice: clip.vocoder })));
  const codes = (sound) =>
    [...new Set(clips.map((clip) => clip.vocoder).filter(Boolean))].flatMap((vocoder) =>
      pairs(clips.filter((clip) => clip.sound === sound && clip.vocoder === vocoder)
        .map((clip) => ({ ...clip, voice: SOURCES[clip.kind] }))));
  const tests = [
    ["the vocoders, from the model's mel", vocodersFrom("model")],
    ["the vocoders, from the true mel", vocodersFrom("mel")],
    ["each vocoder from the true mel and from the model's", codes],
  ].map(([title, of]) => ({
    title,
    rounds: sounds.flatMap((sound) => of(sound).map(([one, other]) => ({
      original: clips.find((clip) => clip.sound === sound && clip.kind === "original"),
      one, other,
    }))).filter((round) => round.original),
  })).filter((test) => test.rounds.length > 0);

  let rounds = [], answers = [], heard = new Set();

  function shuffled(items) {
    const copy = [...items];
    for (let i = copy.length - 1; i > 0; i--) {
      const j = Math.floor(Math.random() * (i + 1));
      [copy[i], copy[j]] = [copy[j], copy[i]];
    }
    return copy;
  }

  function begin(test) {
    rounds = shuffled(test.rounds).map(({ original, one, other }) => {
      const [a, b] = shuffled([one, other]);
      return { original, a, b };
    });
    answers = [];
    at("blind-start").hidden = at("blind-result").hidden = true;
    at("blind-round").hidden = false;
    next();
  }

  function next() {
    const round = rounds[answers.length];
    if (!round) return reveal();
    heard = new Set();
    for (const [name, player] of Object.entries(players)) player.src = round[name].src;
    at("blind-progress").textContent = `Round ${answers.length + 1} of ${rounds.length}`;
    at("blind-hint").textContent = "Listen to A and B, then choose. The keys work too.";
    for (const button of buttons) button.disabled = true;
  }

  function choose(choice) {
    if (at("blind-round").hidden || !(heard.has("a") && heard.has("b"))) return;
    answers.push({ ...rounds[answers.length], choice });
    next();
  }

  function listen(name) {
    const player = players[name];
    if (!player.paused) return player.pause();
    player.currentTime = 0;
    player.play();
  }

  // How often guessing decides at least as unevenly: the two-sided sign test.
  function chance(wins, losses) {
    const n = wins + losses;
    let term = 0.5 ** n, total = 0;
    for (let k = 0; k <= Math.min(wins, losses); k++) {
      total += term;
      term *= (n - k) / (k + 1);
    }
    return Math.min(1, 2 * total);
  }

  function element(tag, text, ...children) {
    const made = document.createElement(tag);
    if (text !== "") made.textContent = text;
    made.append(...children);
    return made;
  }

  function table(caption, heads, rows) {
    const line = (tag, cells) => element("tr", "", ...cells.map((cell, i) => {
      const made = element(tag, String(cell));
      if (i > 0 && typeof rows[0][i] === "number") made.className = "num";
      return made;
    }));
    return element("table", "", element("caption", caption), line("th", heads),
      ...rows.map((row) => line("td", row)));
  }

  function reveal() {
    for (const player of Object.values(players)) player.pause();
    at("blind-round").hidden = true;
    at("blind-start").hidden = at("blind-result").hidden = false;
    const result = at("blind-result");
    result.replaceChildren(element("h3", "Result"));
    if (answers.length === 0) result.append(element("p", "No round was decided."));
    else result.append(...summary());
    result.focus();
  }

  function summary() {
    const voices = [...new Set(answers.flatMap(({ a, b }) => [a.voice, b.voice]))].sort();
    const won = ({ a, b, choice }) => (choice === "none" ? null : choice === "a" ? a : b).voice;
    const decided = answers.filter(({ choice }) => choice !== "none");
    const among = (...names) => answers.filter(({ a, b }) =>
      names.every((name) => name === a.voice || name === b.voice));
    const totals = voices.map((voice) => {
      const wins = decided.filter((answer) => won(answer) === voice).length;
      const alike = among(voice).filter(({ choice }) => choice === "none").length;
      return [voice, wins, among(voice).length - wins - alike, alike];
    }).sort((one, other) => other[1] - one[1]);
    const sentences = pairs(voices).flatMap(([one, other]) => {
      const clear = among(one, other).filter(({ choice }) => choice !== "none");
      if (clear.length === 0) return [];
      const wins = clear.filter((answer) => won(answer) === one).length;
      const losses = clear.length - wins;
      const luck = Math.round(100 * chance(wins, losses));
      return [element("p", `${one} ${wins} : ${losses} ${other}. Guessing alone comes out at ` +
        `least as uneven in ${luck} % of all tests.`)];
    });
    const log = answers.map(({ original, a, b, choice }, i) => [
      i + 1, original.name, a.voice, b.voice, { a: "A", b: "B", none: "no difference" }[choice],
    ]);
    return [
      table("How often each was nearer", ["", "nearer", "farther", "no difference"], totals),
      ...sentences,
      element("details", "", element("summary", "Every round"),
        table("Who was who", ["round", "sound", "A was", "B was", "you chose"], log)),
    ];
  }

  function count() {
    const number = tests[at("blind-kind").value].rounds.length;
    at("blind-count").textContent =
      `${number} ${number === 1 ? "round" : "rounds"}; stop whenever you like`;
  }

  for (const [name, player] of Object.entries(players))
    player.addEventListener("play", () => {
      heard.add(name);
      for (const button of buttons) button.disabled = !(heard.has("a") && heard.has("b"));
    });
  document.addEventListener("play", ({ target }) => {  // one sound at a time, on the whole page
    for (const other of document.querySelectorAll("audio")) if (other !== target) other.pause();
  }, true);
  for (const button of buttons)
    button.addEventListener("click", () => choose(button.dataset.choice));
  at("blind-stop").addEventListener("click", reveal);
  at("blind-kind").addEventListener("change", count);
  at("blind-start").addEventListener("submit", (event) => {
    event.preventDefault();
    begin(tests[at("blind-kind").value]);
  });
  document.addEventListener("keydown", (event) => {
    if (at("blind-round").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
    const name = { o: "original", a: "a", b: "b" }[event.key.toLowerCase()];
    const choice = { 1: "a", 2: "b", 0: "none" }[event.key];
    if (name) listen(name);
    else if (choice) choose(choice);
  });

  if (tests.length === 0) return void (at("blind").hidden = true);
  tests.forEach(({ title }, i) => at("blind-kind").add(new Option(title, i)));
  at("blind-sheet").hidden = false;
  count();
})();
