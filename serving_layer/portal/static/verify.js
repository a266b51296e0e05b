/* Checks a statement in the viewer's own browser: hashes, audit paths, signatures, sums and events, from its bundle.
   Written from docs/concepts/proof.md, like the stand-alone verifier; it asks the server for data and for nothing else. */
"use strict";

const FORMAT = "viewledger-statement/1";
const EVENTS_MAX = 200_000;
const BILLION = 1_000_000_000n;

class WrongError extends Error {}
class NotCheckedError extends Error {}

function must(is, text) { if (!is) throw new WrongError(text); }
const bytesOf = (text) => new TextEncoder().encode(text);
const hexOf = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
function ofHex(text) {
  must(/^([0-9a-f]{2})*$/.test(text), "A hash or a signature is not written as hexadecimal digits.");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}
async function sha256(...parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
}
const leafHash = (content) => sha256(Uint8Array.of(0), content);
const nodeHash = (left, right) => sha256(Uint8Array.of(1), left, right);

/* The number of a record as it is; JSON's numbers are exact up to 2^53 here. */
function exact(number) {
  if (!Number.isSafeInteger(number)) throw new NotCheckedError("A number of the statement is larger than this script computes with.");
  return BigInt(number);
}

/* RFC 9162, section 2.1.3.2. */
async function rootByPath(leaf, index, count, path) {
  let [node, last] = [leaf, count - 1];
  must(Number.isInteger(index) && index >= 0 && index <= last, "An audit path is of another tree.");
  for (const text of path) {
    const beside = ofHex(text);
    must(last > 0 && beside.length === 32, "An audit path is too long.");
    if (index % 2 === 1 || index === last) {
      node = await nodeHash(beside, node);
      while (index > 0 && index % 2 === 0) { index /= 2; last = Math.floor(last / 2); }
    } else {
      node = await nodeHash(node, beside);
    }
    [index, last] = [Math.floor(index / 2), Math.floor(last / 2)];
  }
  must(last === 0, "An audit path is too short.");
  return hexOf(node);
}

/* RFC 6962, section 2.1: one hash for each complete subtree. */
class Tree {
  count = 0;
  peaks = [];
  async add(leaf) {
    for (let bits = this.count; bits % 2 === 1; bits = Math.floor(bits / 2)) leaf = await nodeHash(this.peaks.pop(), leaf);
    this.peaks.push(leaf);
    this.count += 1;
  }
  async root() {
    if (this.peaks.length === 0) return hexOf(await sha256());
    let node = this.peaks.at(-1);
    for (const peak of this.peaks.slice(0, -1).reverse()) node = await nodeHash(peak, node);
    return hexOf(node);
  }
}

async function checkLinks(bundle) {
  let [before, position, next] = ["0".repeat(64), 1, ""];
  const checkpoints = new Map();
  for (const [index, { body: text }] of bundle.checkpoints.entries()) {
    const body = JSON.parse(text);
    must(body.format === "viewledger-checkpoint/1" && body.sequence === index + 1, `Checkpoint ${index + 1} is missing or out of order.`);
    must(body.previous_hash === before, `Checkpoint ${index + 1} does not name the one before it: one of the two was changed.`);
    must(next === "" || body.public_key === next, `Checkpoint ${index + 1} is signed by a key that is not in force.`);
    if (body.kind === "checkpoint") {
      must(body.position_start === position && body.position_end >= position, `Checkpoint ${index + 1} leaves out a part of the journal.`);
      position = body.position_end;
      checkpoints.set(body.sequence, body);
    }
    next = body.kind === "key_change" ? body.next_public_key : body.public_key;
    before = hexOf(await sha256(bytesOf(text)));
  }
  must(checkpoints.size > 0, "No checkpoint was made yet: nothing is signed.");
  return checkpoints;
}

async function checkSignatures(bundle) {
  const keys = new Map();
  for (const [index, { body: text, signature }] of bundle.checkpoints.entries()) {
    const name = JSON.parse(text).public_key;
    try {
      if (!keys.has(name)) keys.set(name, await crypto.subtle.importKey("raw", ofHex(name), { name: "Ed25519" }, false, ["verify"]));
    } catch (error) {
      if (error instanceof DOMException && error.name === "NotSupportedError") throw new NotCheckedError("This browser cannot check Ed25519 signatures; a newer one can, and so can the stand-alone verifier.");
      throw error;
    }
    const isSigned = await crypto.subtle.verify("Ed25519", keys.get(name), ofHex(signature), bytesOf(text));
    must(isSigned, `The signature of checkpoint ${index + 1} is not that of its key: the checkpoint was changed.`);
  }
  return `${keys.size === 1 ? "The key" : "The keys"} ${[...keys.keys()].join(", ")} signed every one. Compare with the key that was given to you by another way than this page.`;
}

async function checkInclusion(bundle, checkpoints) {
  const end = Math.max(...[...checkpoints.values()].map((each) => each.position_end));
  let [last, open] = [0, 0];
  const days = new Set();
  for (const each of bundle.records) {
    const record = JSON.parse(each.record);
    must(record.position > last, "A record is out of order.");
    last = record.position;
    if (each.checkpoint === undefined) {
      must(record.position >= end || record.kind !== "statement", "The statement comes without the proof that a checkpoint covers it.");
      open += 1;
      continue;
    }
    const body = checkpoints.get(each.checkpoint);
    must(body !== undefined && record.position >= body.position_start && record.position < body.position_end, "A record names a checkpoint that does not cover it.");
    const root = await rootByPath(await leafHash(bytesOf(each.record)), each.leaf_index, body.record_count, each.audit_path);
    must(root === body.root, `The record of a ${record.kind} is not what the checkpoint of ${body.day} signed: it was changed.`);
    days.add(body.day);
  }
  const signed = `${bundle.records.length - open} of ${bundle.records.length} records are what the checkpoints of ${[...days].join(", ")} signed.`;
  if (open > 0) throw new NotCheckedError(`${signed} ${open} came after the last checkpoint and are not signed yet; the next one covers them.`);
  return signed;
}

function checkSums(statement, shown) {
  const { row } = statement;
  const lines = statement.lines ?? [];
  let [carried, total, views] = [exact(row.carried_nanomicros_before), 0n, 0n];
  for (const [index, line] of lines.entries()) {
    const owed = exact(line.rate_per_thousand_micros) * exact(line.quantity) * exact(line.share_ppm) + carried;
    carried = owed % BILLION;
    const isRight = line.line_index === index && exact(line.amount_micros) === owed / BILLION && exact(line.carried_nanomicros) === carried;
    must(isRight, `Line ${index + 1} does not come to its amount.`);
    total += exact(line.amount_micros);
    views += line.kind === "views" ? exact(line.quantity) : 0n;
  }
  const taken = exact(row.over_cap_micros) + exact(row.tax_micros);
  must(lines.length === row.line_count && exact(row.billable_views) === views && exact(row.carried_nanomicros_after) === carried, "The lines are not those that the statement counts.");
  must(total === taken + exact(row.payable_micros), "The lines do not come to the amount of the statement.");
  must(row.statement_id === shown.statement && String(row.payable_micros) === shown.payable && row.currency === shown.currency, "This page shows another amount than the signed statement.");
  return `${lines.length} lines, less cap and tax, come to the payable amount that this page shows.`;
}

function checkSteps(bundle, shown) {
  const records = bundle.records.map((each) => JSON.parse(each.record));
  const statement = records[0];
  must(statement.kind === "statement" && statement.key === shown.statement, "The bundle is of another statement.");
  let [state, posted] = ["open", false];
  const postings = new Map();
  for (const { kind, row, entries } of records.slice(1)) {
    must((kind === "transition" ? row.subject_id : row.statement_id) === shown.statement, "A record is of another statement.");
    if (kind === "transition") {
      must(row.from_state === state, `A step is missing: the statement was ${state} and not ${row.from_state}.`);
      state = row.to_state;
      posted ||= state === "finalised";
    } else {
      const sum = entries.reduce((whole, each) => whole + exact(each.amount_micros), 0n);
      const owed = entries.filter((each) => /^(payable|suspense):/.test(each.account)).reduce((whole, each) => whole - exact(each.amount_micros), 0n);
      const amount = exact(statement.row.payable_micros) * (row.kind === "reversal" ? -1n : 1n) + exact(row.remainder_micros);
      must(sum === 0n && owed === amount, "The ledger holds another amount than the statement.");
      postings.set(row.kind, row);
    }
  }
  must(state === shown.state, `This page says ${shown.state}, and the steps end with ${state}; load the page again.`);
  must(posted === (postings.has("statement") || postings.has("suspense")), "The statement is final and not in the ledger, or the other way round.");
  must((posted && state === "superseded") === postings.has("reversal"), "The statement was replaced and is still in the ledger, or the other way round.");
  return posted ? "The steps follow one another, and the ledger holds the amount of the statement." : "The steps follow one another; the statement is not in the ledger.";
}

async function* rowsOf(body) {
  let rest = "";
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const lines = (rest + part.value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
  must(rest === "", "The list of events was cut off.");
}

async function checkEvents(statement, address, progress) {
  if (!address) throw new NotCheckedError("This sign-in does not show single events.");
  if (statement.row.billable_views > EVENTS_MAX) throw new NotCheckedError(`More than ${EVENTS_MAX.toLocaleString()} events: give them to the stand-alone verifier.`);
  const answer = await fetch(address);
  if (!answer.ok) throw new NotCheckedError("The events cannot be read now; try again later.");
  const lines = statement.lines ?? [];
  const trees = lines.map(() => new Tree());
  let count = 0;
  for await (const event of rowsOf(answer.body)) {
    count += 1;
    const paying = event.lines.map((index) => lines[index]);
    must(event.number === count && paying.filter((line) => line?.kind === "views").length === 1, `Event ${count} is missing, or is not paid exactly once.`);
    must(paying.every((line) => line?.video_id === event.video_id), `Event ${event.event_id} is paid for another video.`);
    const leaf = await leafHash(bytesOf(event.event_id));
    for (const index of event.lines) await trees[index].add(leaf);
    if (count % 2_000 === 0) progress(`${count.toLocaleString()} events so far …`);
  }
  for (const [index, line] of lines.entries()) {
    const isRight = trees[index].count === line.event_end - line.event_start && await trees[index].root() === line.evidence_root;
    must(isRight, `Line ${index + 1} pays other events than those that are listed for it.`);
  }
  return `${count.toLocaleString()} events are exactly those that the lines pay.`;
}

/* One row for each check: its result, its name, and a sentence. */
async function run(list, name, work) {
  const [row, badge, text] = ["li", "span", "span"].map((tag) => document.createElement(tag));
  const say = (tone, word, sentence) => { badge.className = `badge ${tone}`; badge.textContent = word; text.textContent = ` ${name}: ${sentence}`; };
  row.append(badge, text);
  list.append(row);
  say("plain", "checking", "…");
  try {
    say("good", "agrees", await work((sentence) => say("plain", "checking", sentence)));
    return "good";
  } catch (error) {
    if (error instanceof NotCheckedError) { say("warn", "not checked", error.message); return "warn"; }
    say("bad", "wrong", error instanceof WrongError ? error.message : `A part of the bundle cannot be read (${error.message}).`);
    return "bad";
  }
}

async function verify(panel) {
  const [list, said] = [panel.querySelector("[data-checks]"), panel.querySelector("[data-result]")];
  list.replaceChildren();
  said.className = "";
  said.textContent = "Checking …";
  const end = (tone, text) => { said.className = `notice ${tone}`; said.textContent = text; };
  if (!globalThis.crypto?.subtle) return end("warn", "Nothing was checked: a browser computes hashes only on a page that it reached by https.");
  let bundle;
  try {
    const answer = await fetch(panel.dataset.bundle);
    if (!answer.ok) return end("warn", "Nothing was checked: the bundle of this statement cannot be read now.");
    bundle = await answer.json();
    if (bundle.format !== FORMAT) return end("bad", "What the server gave is not a bundle of a statement.");
  } catch (error) {
    return end("bad", `What the server gave is not a bundle of a statement (${error.message}).`);
  }
  const shown = panel.dataset;
  let checkpoints = new Map();
  const statement = () => JSON.parse(bundle.records[0].record);
  const results = [
    await run(list, "Chain", async () => { checkpoints = await checkLinks(bundle); return `${bundle.checkpoints.length} checkpoints, each naming the one before it.`; }),
    await run(list, "Signatures", () => checkSignatures(bundle)),
    await run(list, "Journal", () => checkInclusion(bundle, checkpoints)),
    await run(list, "Sums", () => checkSums(statement(), shown)),
    await run(list, "Ledger", () => checkSteps(bundle, shown)),
    await run(list, "Events", (progress) => checkEvents(statement(), shown.events, progress)),
  ];
  if (results.includes("bad")) return end("bad", "Something is wrong. Keep the bundle, and ask the people who pay you.");
  if (results.includes("warn")) return end("warn", "What was checked agrees; not everything was checked.");
  return end("good", "Everything agrees.");
}

for (const panel of document.querySelectorAll("[data-bundle]")) {
  const button = panel.querySelector("button");
  button.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    await verify(panel);
    button.disabled = false;
  });
}
