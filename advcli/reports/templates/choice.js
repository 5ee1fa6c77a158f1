const BATCH = hasPictures ? 60 : 400; // cards or rows added at a time
const FACETS = ["case", ...withRole("axis", "flag").filter((name) => name !== "error"), ...withRole("label", "class"), "flags", "status"];
const descending = () => byId("down").getAttribute("aria-pressed") === "true";
const descend = (yes) => byId("down").setAttribute("aria-pressed", String(yes));
const valuesOf = (record, name) =>
  [record[name] ?? []].flat().map((value) => valueOf({ norm: record.norm, [name]: value }, byName.get(name) ?? { name }));
const haystack = (record) => [record.item, record.error, ...SAID.map((name) => record[name])].join("\n").toLowerCase();
const texts = new Map(records.map((record) => [record, haystack(record)]));
let matching = groups; // groups with the records that agree with the choice
let shownCount = 0;
const watcher = new IntersectionObserver(([entry]) => entry.isIntersecting && showMore(), { rootMargin: "800px" });

function buildFacets() {
  for (const name of FACETS) {
    const counts = new Map();
    for (const record of records) for (const value of valuesOf(record, name)) counts.set(value, (counts.get(value) ?? 0) + 1);
    if (counts.size < (name === "flags" ? 1 : 2) || counts.size > 2000) continue; // nothing to choose from
    if (counts.size > 8 && counts.size === records.length) continue; // each value once
    const options = [...counts].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
    const select = make("select", { name }, make("option", { value: "", textContent: "all" }));
    // The sign of equality keeps a class without a name from meaning "all".
    for (const [value, count] of options) {
      select.append(make("option", { value: "=" + value, textContent: `${value} (${number(count)})` }));
    }
    byId("facets").append(make("label", {}, titleOf(name), select));
  }
}

// Numbers of a record by name, nested ones by their dotted names: "similarity.grad-cam.ssim".
function numbers(record) {
  const found = {};
  const walk = (value, name) => {
    if (typeof value === "number") found[name] = value;
    else if (value !== null && typeof value === "object" && !Array.isArray(value)) {
      for (const [key, one] of Object.entries(value)) walk(one, name ? `${name}.${key}` : key);
    }
  };
  for (const { name, role } of fields) if (role !== "picture") walk(record[name], name);
  return found;
}

function buildOrders() {
  const found = new Set(records.flatMap((record) => Object.keys(numbers(record))));
  const title = (name) => name.split(".").map((part, place) => (place ? words(part) : titleOf(part))).join(", ");
  for (const name of ["item", ...found]) byId("order").append(make("option", { value: name, textContent: title(name) }));
}

function sorted(list, name) {
  const sign = descending() ? -1 : 1;
  const key = (group) => {
    if (name === "item") return group[0].item;
    const values = group.map((record) => numbers(record)[name]).filter((value) => value !== undefined);
    return values.length ? sign * Math.min(...values.map((value) => sign * value)) : undefined;
  };
  const keys = new Map(list.map((group) => [group, key(group)]));
  return [...list].sort((a, b) => {
    const [one, other] = [keys.get(a), keys.get(b)];
    if (one === undefined || other === undefined) return (one === undefined) - (other === undefined); // always last
    return sign * (typeof one === "string" ? one.localeCompare(other, "en", { numeric: true }) : one - other);
  });
}

function choose() {
  const needle = byId("text").value.trim().toLowerCase();
  const selects = [...document.querySelectorAll("#facets select")];
  const chosen = selects.filter((select) => select.value !== "");
  for (const control of [...selects, byId("text")]) control.classList.toggle("set", control.value.trim() !== "");
  const agrees = (record) => texts.get(record).includes(needle) &&
    chosen.every((select) => valuesOf(record, select.name).includes(select.value.slice(1)));
  matching = grouped(records.filter(agrees));
  const order = byId("order").value;
  if (order) matching = sorted(matching, order);
  else if (descending()) matching.reverse();
  byId("count").textContent = tally(matching.length, groups.length, "item") +
    (severalCases ? `, ${tally(matching.flat().length, records.length, "result")}` : "");
  byId("gallery").replaceChildren();
  shownCount = 0;
  byId("nothing").hidden = matching.length > 0;
  remember();
  confusion();
  showMore();
}

function tally(some, all, noun) {
  const text = some === all ? number(all) : `${number(some)} of ${number(all)}`;
  return `${text} ${noun}${all === 1 ? "" : "s"}`;
}

function showMore() {
  const next = matching.slice(shownCount, shownCount + BATCH);
  if (hasPictures) byId("gallery").append(...next.map(card));
  else if (next.length && !shownCount) byId("gallery").append(table(next.flat()));
  else if (next.length) byId("gallery").querySelector("tbody").append(...next.flat().map(tableRow));
  shownCount += next.length;
  byId("more").hidden = shownCount >= matching.length;
  watcher.unobserve(byId("more")); // observed afresh it reports at once, should the screen still not be full
  watcher.observe(byId("more"));
}

const controls = () => document.querySelectorAll("#facets select, #text, #order");

// The choice is kept behind the address's #, so that a view or one image can be bookmarked, shared and reloaded.
function remember() {
  const state = new URLSearchParams();
  for (const control of controls()) if (control.value) state.set(control.name, control.value);
  if (descending()) state.set("down", "1");
  if (looked !== null) state.set("item", looked[0].item);
  if (looked !== null && looked.length > 1) state.set("shown", lookedCase);
  history.replaceState(null, "", "#" + state);
}

function recall() {
  const state = new URLSearchParams(location.hash.slice(1));
  for (const control of controls()) {
    const value = state.get(control.name) ?? "";
    control.value = value;
    if (control.value !== value) control.value = ""; // a class that this run does not have
  }
  descend(state.get("down") === "1");
  return [state.get("item"), state.get("shown")];
}

function restore() {
  const [item, shownCase] = recall();
  choose();
  const group = item === null ? undefined : matching.find(([record]) => record.item === item);
  if (group !== undefined) look(group, shownCase ?? group[0].case);
  else if (dialog.open) dialog.close();
}

// What is chosen, as a file that another command reads.
function save(name, lines) {
  const blob = new Blob([lines.map((line) => line + "\n").join("")], { type: "text/plain" });
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const chosenPaths = () => [...new Set(matching.map(([record]) => record.source ?? record.item))];
const chosenLines = () => matching.flat().map(({ original, ...record }) =>
  JSON.stringify({ ...record, path: record.item, files: { ...(original && { original }), ...record.files } }));

function start() {
  buildFacets();
  buildOrders();
  const widest = groups.reduce((most, [record, ...more]) =>
    Math.max(most, pictures(record).length + (more.length || record.original === undefined ? 0 : 1)), 1);
  document.documentElement.style.setProperty("--pictures", Math.min(widest, 6));
  document.body.classList.toggle("grid", severalCases);
  byId("sizes").hidden = !hasPictures;
  byId("gallery").classList.toggle("cards", hasPictures);
  byId("tools").addEventListener("input", (event) => event.target !== byId("size") && choose());
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  byId("tools").addEventListener("reset", () => setTimeout(() => {
    descend(false);
    document.documentElement.style.removeProperty("--tile");
    choose();
  }));
  byId("size").addEventListener("input", () => {
    document.documentElement.style.setProperty("--tile", `${byId("size").value}px`);
  });
  byId("down").addEventListener("click", () => { descend(!descending()); choose(); });
  byId("paths").addEventListener("click", () => save("paths.txt", chosenPaths()));
  byId("lines").addEventListener("click", () => save("records.jsonl", chosenLines()));
  byId("more").addEventListener("click", showMore);
  window.addEventListener("hashchange", restore);
  byId("tools").hidden = false;
  restore();
}

start();
