// Follows the service: whether it can be reached, and which models answer.

import { askClasses, askModel } from "./client.js";

const LOOK_MS = 10_000;
const LOOK_WHEN_AWAY_MS = 2_000;

/** Tells `change` listeners; `trouble` is null while all is well. */
class Service extends EventTarget {
  trouble = null;
  model = null;
  datasets = [];
  #timer;
  #known = "";

  /** Look now, and from time to time after. */
  async look() {
    clearTimeout(this.#timer);
    try {
      this.model = await askModel();
      await this.#askClassesIfNew();
      this.trouble = null;
    } catch (trouble) {
      this.trouble = trouble;
    }
    this.dispatchEvent(new Event("change"));
    const pause = this.isUp ? LOOK_MS : LOOK_WHEN_AWAY_MS;
    // where the token is at fault, asking again would only be refused again
    if (!this.trouble?.isOfToken) this.#timer = setTimeout(() => this.look(), pause);
  }

  /** Someone was refused: say so to all, and look again soon. */
  report(trouble) {
    if (this.trouble?.kind === trouble.kind) return;
    this.trouble = trouble;
    this.dispatchEvent(new Event("change"));
    clearTimeout(this.#timer);
    if (!trouble.isOfToken) this.#timer = setTimeout(() => this.look(), LOOK_WHEN_AWAY_MS);
  }

  /** Resolves once it answers; rejects when `signal` is aborted. */
  up(signal) {
    return new Promise((resolve, reject) => {
      const check = () => this.isUp && done(resolve);
      const stop = () => done(reject);
      const done = (settle) => {
        this.removeEventListener("change", check);
        signal.removeEventListener("abort", stop);
        settle();
      };
      this.addEventListener("change", check);
      signal.addEventListener("abort", stop);
      check();
    });
  }

  get isUp() {
    return !this.trouble && this.datasets.length > 0;
  }

  classes(dataset) {
    return this.datasets.find((d) => d.dataset === dataset)?.classes ?? [];
  }

  async #askClassesIfNew() {
    const served = this.model.models.map((m) => `${m.dataset} ${m.model_version}`).join();
    if (served === this.#known) return;
    this.datasets = await askClasses();
    this.#known = served;
  }
}

export const service = new Service();
