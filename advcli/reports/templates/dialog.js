const dialog = byId("look");
const PERIOD = 500; // ms that each of two pictures is shown; well under three flashes a second
let looked = null; // the group in the dialog
let lookedCase;
let chosenKind = "adversarial";
let blinking = 0;

const linkTo = (item) => "#" + new URLSearchParams({ item });

function look(group, name = group[0].case) {
  looked = group;
  lookedCase = name;
  const record = group.find((one) => one.case === name) ?? group[0];
  const place = matching.indexOf(group);
  byId("looked").textContent = record.item;
  byId("here").href = linkTo(record.item);
  byId("facts").replaceChildren(...[cases(group, record), stage(record), ...facts(record)].filter(Boolean));
  byId("earlier").disabled = place <= 0;
  byId("later").disabled = place < 0 || place === matching.length - 1;
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  remember();
}

function cases(group, record) {
  if (group.length < 2) return null;
  return make("div", { className: "cases", role: "group", ariaLabel: "Case" }, ...group.map((one) => {
    const button = make("button", { type: "button", textContent: one.case, ariaPressed: String(one === record) });
    button.addEventListener("click", () => look(group, one.case));
    return button;
  }));
}

// One large picture; a button for each kind, and one that shows it in turn with the original.
function stage(record) {
  stop();
  const all = [...(record.original === undefined ? [] : [["original", record.original]]), ...pictures(record)];
  if (!all.length) return null;
  if (!all.some(([kind]) => kind === chosenKind)) chosenKind = all.at(-1)[0];
  const images = new Map(all.map(([kind, file]) => {
    const image = make("img", { alt: kind, hidden: true });
    image.addEventListener("load", () => image.classList.toggle("small", image.naturalWidth <= 96));
    image.src = address(file);
    return [kind, image];
  }));
  const show = (kind) => images.forEach((image, one) => { image.hidden = one !== kind; });
  const buttons = all.map(([kind]) => make("button", { type: "button", textContent: kind.replaceAll(".", " ") }));
  const blink = make("button", { type: "button", className: "blink", textContent: "flicker", ariaPressed: "false" });
  const choose = (kind) => {
    stop();
    blink.ariaPressed = "false";
    chosenKind = kind;
    buttons.forEach((button, place) => { button.ariaPressed = String(all[place][0] === kind); });
    show(kind);
  };
  buttons.forEach((button, place) => button.addEventListener("click", () => choose(all[place][0])));
  blink.title = "Show in turn with the original (f)";
  blink.addEventListener("click", () => {
    const other = chosenKind === "original" ? all[1][0] : chosenKind;
    if (blinking) return choose(other);
    let turn = false;
    blink.ariaPressed = "true";
    show("original");
    blinking = setInterval(() => { show(turn ? "original" : other); turn = !turn; }, PERIOD);
  });
  const can = record.original !== undefined && all.length > 1;
  choose(chosenKind);
  return make("div", { className: "stage" },
    make("div", { className: "kinds", role: "group", ariaLabel: "Picture" }, ...buttons, can ? blink : null),
    make("div", { className: "canvas" }, ...images.values()));
}

function stop() {
  clearInterval(blinking);
  blinking = 0;
}

function facts(record) {
  const known = fields.filter(({ name, role }) => record[name] !== undefined && role !== "picture" && !isGuess(record, name));
  const list = known.flatMap((field) => [
    make("dt", { textContent: field.title }), make("dd", { textContent: valueOf(record, field) }),
  ]);
  if (record.source !== undefined) list.push(make("dt", { textContent: "source" }), make("dd", { textContent: record.source }));
  const error = record.status === "error" ? make("p", { className: "said", textContent: record.error }) : null;
  return [error ?? said(record, SAID), figures(record), ...nestedFigures(record), make("dl", { className: "facts" }, ...list)];
}

function step(by) {
  const next = matching[matching.indexOf(looked) + by];
  if (next !== undefined) look(next, next.some((one) => one.case === lookedCase) ? lookedCase : next[0].case);
}

byId("earlier").addEventListener("click", () => step(-1));
byId("later").addEventListener("click", () => step(1));
byId("close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
dialog.addEventListener("close", () => {
  stop();
  looked = null;
  remember();
});
dialog.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
  if (event.key === "f") dialog.querySelector(".blink")?.click();
});
