/** A time of status that is not in the future: a later one was written by a clock that was ahead, and would never be overtaken. */
export function pastTime(time: string | undefined, now: string): string | undefined {
  return time !== undefined && Date.parse(time) > Date.parse(now) ? now : time;
}
