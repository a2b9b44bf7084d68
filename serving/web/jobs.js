// Does a few jobs at once, in order, and keeps at each until it is done or hopeless.

import { Trouble } from "./client.js";
import { service } from "./service.js";

const AT_ONCE = 3;
const MOST_BUSY = 20;
const MOST_BREAKS = 3;
const LONGEST_WAIT_S = 30;

const waiting = [];
let running = 0;

/** Run `job` when its turn comes; one that was aborted before is never begun. */
export function enqueue(job, signal) {
  return new Promise((resolve, reject) => {
    waiting.push({ job, signal, resolve, reject });
    work();
  });
}

async function work() {
  if (running >= AT_ONCE || !waiting.length) return;
  const { job, signal, resolve, reject } = waiting.shift();
  running += 1;
  try {
    resolve(signal.aborted ? await cancelled() : await job());
  } catch (trouble) {
    reject(trouble);
  } finally {
    running -= 1;
    work();
  }
}

/**
 * Ask until there is an answer: a busy service is waited for as long as it says, one that is
 * away until it is back. Throws a Trouble when it refuses, or when asking again will not help.
 */
export async function insist(ask, { signal, onWait }) {
  let busy = 0;
  let breaks = 0;
  for (;;) {
    try {
      return await ask();
    } catch (trouble) {
      if (signal.aborted) return cancelled();
      if (trouble.kind === "busy" && ++busy <= MOST_BUSY) {
        const seconds = Math.min(trouble.seconds, LONGEST_WAIT_S);
        onWait(`The service is busy; asking again in ${seconds} s …`);
        await pause(seconds * 1000, signal);
      } else if (trouble.kind === "away" && ++breaks > MOST_BREAKS) {
        const message = "The connection broke off each time. The file may be too large to send.";
        throw new Trouble("refused", message);
      } else if (["away", "token", "no-model"].includes(trouble.kind)) {
        service.report(trouble);
        onWait(`${trouble.message} It is sent when the service answers again …`);
        await service.up(signal).catch(cancelled);
      } else {
        throw trouble;
      }
    }
  }
}

/** Wait; throws when `signal` is aborted. */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new Trouble("cancelled", "Cancelled."));
    }, { once: true });
  });
}

async function cancelled() {
  throw new Trouble("cancelled", "Cancelled.");
}
