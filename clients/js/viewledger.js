/**
 * Measures views of a media element, and delivers one event for each to viewledger's collector.
 *
 * Two parts: `Watch` measures, `Delivery` keeps each event until the collector has answered it. An event is sent again
 * under the same id until then, so that it may arrive twice and is counted once.
 */

/** What an event may hold of what the page hands in: the fields of the contract, and nothing else. */
const FIELDS = [
  "event_id", "play", "video_id", "user_id", "session_id", "revenue_eligible",
  "device_type", "geo_location", "referrer", "quality",
];
const AD_FIELDS = ["ad_id", "ad_type", "watched_seconds"];
const ADS_MAX = 50;
const SECONDS_MAX = 86400;
/** A view is refused if it is longer than its play is old and this tolerance for clocks; a quick rate can reach that. */
const BEYOND_PLAY_SECONDS_MAX = 300;
const SPARE_SECONDS_MAX = 0.25;
const KEPT_MAX = 200;
const ANSWER_MS_MAX = 20000;
const FIRST_WAIT_SECONDS = 1;
const WAIT_SECONDS_MAX = 300;
/** Statuses below 500 after which the same request may succeed. */
const PASSING = [408, 425, 429];
const PROBLEM = "application/problem+json";

const pick = (from, names) =>
  Object.fromEntries(names.filter((name) => from[name] != null).map((name) => [name, from[name]]));

/** A random UUID; `crypto.randomUUID` is missing on pages without TLS. */
const newId = () =>
  "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (digit) =>
    (digit ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (digit / 4)))).toString(16));

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** The wait after failures in a row: doubled up to a bound, and the upper half of it random. */
const backoff = (failures) =>
  Math.min(WAIT_SECONDS_MAX, FIRST_WAIT_SECONDS * 2 ** Math.min(failures - 1, 16)) * (0.5 + Math.random() / 2);

/** Unsent events: in localStorage, each under a key of its own so that tabs do not overwrite each other; else in memory. */
class Kept {
  #prefix;
  #memory = new Map();

  constructor(prefix) {
    this.#prefix = prefix;
  }

  /** All events, the oldest first. What cannot be read is removed. */
  all() {
    const found = new Map(this.#memory);
    try {
      for (const key of Object.keys(localStorage).filter((each) => each.startsWith(this.#prefix))) {
        try {
          const { at, event } = JSON.parse(localStorage.getItem(key));
          if (key !== this.#prefix + event.event_id) throw key;
          found.set(key, { at, event });
        } catch {
          localStorage.removeItem(key);
        }
      }
    } catch {
      // the browser keeps nothing for this page
    }
    return [...found.values()].sort((one, other) => one.at - other.at).map((each) => each.event);
  }

  put(event) {
    const key = this.#prefix + event.event_id, kept = { at: Date.now(), event };
    try {
      localStorage.setItem(key, JSON.stringify(kept));
    } catch {
      this.#memory.set(key, kept);
    }
  }

  remove(event) {
    this.#memory.delete(this.#prefix + event.event_id);
    try {
      localStorage.removeItem(this.#prefix + event.event_id);
    } catch {
      // as above
    }
  }
}

/** Measures one media element and makes one event of each view. */
class Watch {
  #media;
  #begin;
  #deliver;
  #view = null;
  #ads = [];
  #listening = new AbortController();

  constructor(media, begin, deliver) {
    this.#media = media;
    this.#begin = begin;
    this.#deliver = deliver;
    const on = (target, names, call) =>
      names.forEach((name) => target.addEventListener(name, call, { signal: this.#listening.signal }));
    on(media, ["playing", "pause", "timeupdate", "seeking", "seeked", "ratechange"], () => this.#measure());
    on(media, ["ended", "emptied"], () => this.end());
    on(document, ["visibilitychange"], () => this.#measure());
    on(window, ["pagehide"], () => this.#finish(true));
    this.#measure();
  }

  /** Add an advertisement that was shown before or during the view. One that was reported before is ignored. */
  advertisement(shown) {
    if (!shown.ad_id) throw new TypeError("an advertisement needs its ad_id");
    if (this.#ads.length < ADS_MAX && !this.#ads.some((each) => each.ad_id === shown.ad_id)) {
      const seconds = shown.watched_seconds;
      this.#ads.push({ ...pick(shown, AD_FIELDS), ...(seconds != null && { watched_seconds: Math.floor(seconds) }) });
    }
  }

  /** End the view and send its event; if the element plays on, a new view begins. */
  end() {
    this.#finish(false);
  }

  /** End the view and measure no more. */
  stop() {
    this.end();
    this.#listening.abort();
  }

  /**
   * Add what was played since the last look. Never more than the time that passed at the rate then: a jump to another
   * place adds nothing, and neither do a pause, a stall and a page that was frozen. The two clocks are read at slightly
   * different moments, so a little of the time that was not used counts for the next look.
   */
  #measure() {
    const media = this.#media, now = performance.now() / 1000, at = media.currentTime;
    const isPlaying = !(media.paused || media.ended || media.seeking);
    const view = this.#view ?? (isPlaying ? this.#start(now) : null);
    if (view) {
      if (view.isPlaying) {
        const allowed = (now - view.now) * view.rate + view.spare;
        const played = Math.max(0, Math.min(at - view.at, allowed));
        view.watched += played;
        view.spare = Math.min(allowed - played, SPARE_SECONDS_MAX);
      }
      Object.assign(view, { at, now, isPlaying, rate: media.playbackRate });
    }
  }

  #start(now) {
    const view = { watched: 0, spare: 0, begun: now, timestamp: new Date().toISOString() };
    view.asked = (async () => (view.fields = await this.#begin()))();
    return (this.#view = view);
  }

  #finish(isLeaving) {
    if (this.#view) this.#measure();
    const view = this.#view, ads = this.#ads;
    if (!view) return;
    this.#view = null;
    this.#ads = [];
    const seconds = Math.min(view.watched, view.now - view.begun + BEYOND_PLAY_SECONDS_MAX, SECONDS_MAX);
    const send = (fields) =>
      this.#deliver({
        event_id: newId(),
        timestamp: view.timestamp,
        view_duration: Math.round(seconds),
        ...pick(fields, FIELDS),
        ...(ads.length && { ad_views: ads }),
      }, isLeaving);
    // At once if it can be: nothing that waits is sure to run while the page is left.
    if (view.fields) send(view.fields);
    else view.asked.then(send);
  }
}

/** Delivers events to a collector; one tab of an origin sends at a time, for all of them. */
export class Delivery {
  #url;
  #onRefused;
  #kept;
  #isRunning = false;

  constructor(url, { onRefused = () => {} } = {}) {
    this.#url = new URL(url, location.href).href;
    this.#onRefused = onRefused;
    this.#kept = new Kept(`viewledger:${this.#url}:`);
    addEventListener("pageshow", () => this.#run());
    this.#run();
  }

  /** Measure a media element; `begin` returns the play of each view that begins, or a promise of it. */
  watch(media, begin) {
    return new Watch(media, begin, (event, isLeaving) => this.#take(event, isLeaving));
  }

  #take(event, isLeaving) {
    this.#kept.put(event);
    for (const oldest of this.#kept.all().slice(0, -KEPT_MAX)) {
      this.#drop(oldest, [{ code: "not_kept", detail: `more than ${KEPT_MAX} events wait to be sent` }]);
    }
    if (isLeaving) this.#sendLeaving(event);
    else this.#run();
  }

  /** Send an event of a page that is being left. Nobody reads the answer, so it is kept and sent again later. */
  #sendLeaving(event) {
    const body = JSON.stringify(event);
    if (!navigator.sendBeacon?.(this.#url, body)) {
      fetch(this.#url, { method: "POST", body, credentials: "omit", keepalive: true }).catch(() => {});
    }
  }

  async #run() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    const sendAll = () => this.#sendAll();
    while (this.#kept.all().length) {
      await (navigator.locks?.request(`viewledger:${this.#url}`, sendAll).catch(sendAll) ?? sendAll());
    }
    this.#isRunning = false;
  }

  async #sendAll() {
    let failures = 0;
    for (let all; (all = this.#kept.all()).length; ) {
      // After a failure the next one is tried, so that one that always fails does not stop the others.
      const event = all[failures % all.length], wait = await this.#send(event);
      if (wait == null) {
        failures = 0;
        this.#kept.remove(event);
      } else {
        failures += 1;
        await sleep(Math.max(wait, backoff(failures)));
      }
    }
  }

  /** Send an event; return nothing if the collector has decided on it, else the seconds that it asks to wait. */
  async #send(event) {
    let answer;
    try {
      // A text needs no preflight request.
      answer = await fetch(this.#url, {
        method: "POST", body: JSON.stringify(event), credentials: "omit", signal: AbortSignal.timeout(ANSWER_MS_MAX),
      });
      const status = answer.status, content = await answer.json();
      if (status === 202) {
        const { reasons, status: outcome } = content.results[0];
        if (outcome === "rejected") this.#drop(event, reasons);
        return;
      }
      if (status >= 400 && status < 500 && !PASSING.includes(status) && answer.headers.get("content-type") === PROBLEM) {
        this.#drop(event, [{ code: content.code, detail: content.detail }]);
        return;
      }
    } catch {
      // no answer, or not one of the collector
    }
    return Math.min(Number(answer?.headers.get("retry-after")) || 0, SECONDS_MAX);
  }

  #drop(event, reasons) {
    this.#kept.remove(event);
    queueMicrotask(() => this.#onRefused(event, reasons));
  }
}
