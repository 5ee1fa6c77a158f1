"use strict";
// Every text of a record is hostile: it reaches the page as textContent or as an encoded address, never as HTML.

const byId = (id) => document.getElementById(id);
const fields = JSON.parse(byId("fields").textContent);
const byName = new Map(fields.map((field) => [field.name, field]));
const withRole = (...roles) => fields.filter((field) => roles.includes(field.role)).map((field) => field.name);

// One record per item and case; what the cases of an item share is said once in the data.
const records = [];
for (const { cases, ...shared } of JSON.parse(byId("records").textContent)) {
  for (const one of cases) records.push({ ...shared, ...one });
}
const groups = grouped(records);
const severalCases = new Set(records.map((record) => record.case).filter((name) => name !== undefined)).size > 1;
const FLAGS = withRole("flag").filter((name) => name !== "error");
const SAID = withRole("label", "class", "probability");
// What differs between the cases of some item is said with the case, all else with the item. A class and the
// probability that follows it stay together.
const VARYING = new Set();
for (const group of groups) {
  for (const name of SAID) if (group.some((record) => record[name] !== group[0][name])) VARYING.add(name);
}
SAID.forEach((name, place) => {
  if (byName.get(name).role !== "probability" || !place) return;
  for (const [one, other] of [[name, SAID[place - 1]], [SAID[place - 1], name]]) if (VARYING.has(one)) VARYING.add(other);
});

function grouped(list) {
  const found = new Map();
  for (const record of list) {
    if (!found.has(record.item)) found.set(record.item, []);
    found.get(record.item).push(record);
  }
  return [...found.values()];
}

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

// A file's address relative to this page. The dot keeps "//host" and "javascript:" from being more than names.
function address(file) {
  const whole = file.toWellFormed ? file.toWellFormed() : file;
  return "./" + whole.split("/").map(encodeURIComponent).join("/");
}

// The same formats as in the tables above: reports/summary.py.
function number(value, unit = "") {
  if (unit === "1/255") return `${(255 * value).toFixed(1)}/255`;
  if (Number.isInteger(value)) return value.toLocaleString("en");
  const short = Number(value.toPrecision(3));
  return Math.abs(short) >= 1e-4 && Math.abs(short) < 1e6 ? String(short) : value.toExponential(2);
}

function shown(value, field = {}) {
  if (value === null || value === undefined) return "\u2013";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") {
    return field.role === "probability" ? value.toFixed(2)
      : field.role === "rate" ? `${(100 * value).toFixed(1)} %` : number(value, field.unit);
  }
  if (Array.isArray(value)) return value.map((one) => (Array.isArray(one) ? pair(one) : shown(one))).join(", ");
  if (typeof value === "object") {
    return Object.entries(value).map(([name, one]) =>
      one !== null && typeof one === "object" ? `${name}: ${shown(one, field)}` : `${words(name)} ${shown(one, field)}`).join(", ");
  }
  return String(value);
}

// A value of a record as text. eps is written in the unit of its norm, similarities with as many decimals as all others.
function valueOf(record, field) {
  const value = record[field.name];
  if (field.name === "eps" && record.norm === "linf") return number(value, "1/255");
  return shown(value, field.name === "similarity" ? { role: "probability" } : field);
}

// A label that is only the network's own prediction says nothing.
const isGuess = (record, name) => name === "label" && record.label_source === "predicted";
const pair = ([name, probability]) => `${name} ${probability === null ? "" : probability.toFixed(2)}`;
const words = (name) => name.replaceAll("_", " ");
const titleOf = (name) => byName.get(name)?.title ?? words(name);
const isPicture = (file) => /\.(png|jpe?g|webp|gif|svg|bmp)$/i.test(file);
const isPanel = (kind) => kind === "panel"; // holds all the others once more

// The pictures of one case, in the order of the record.
function pictures(record) {
  return Object.entries(record.files ?? {}).filter(([kind, file]) => isPicture(file) && !isPanel(kind));
}
const hasPictures = records.some((record) => record.original !== undefined || pictures(record).length > 0);
