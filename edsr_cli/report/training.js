
// The page of edsr train: it loads itself again while the training runs, and stays where one is.

const STALE_TIMES = 20; // so many times the usual without anything new, and it may have been stopped
const STALE_SECONDS = 300; // but at least

/** Versions of a part over time. What was seen is kept in the history, which a reload does not end. */
class OverTime {
  constructor(kept) {
    const find = (selector) => document.querySelector(selector);
    [this.part, this.time, this.root] = [find("#part"), find("#time"), find(".viewer")];
    this.pictures = [...document.querySelectorAll(".subject")].map(pictureIn);
    this.viewer = new Viewer(this.root);
    this.part.selectedIndex = clamp(kept?.part ?? 0, 0, this.pictures.length - 1);
    this.time.max = this.picture.versions.length - 3; // neither bicubic interpolation nor the original
    this.time.addEventListener("input", () => this.viewer.choose(undefined, Number(this.time.value) + 1));
    this.part.addEventListener("change", () => this.show(this.place));
    this.root.addEventListener("chosen", () => this.tell());
    this.show(kept);
  }

  get picture() {
    return this.pictures[this.part.selectedIndex];
  }

  /** What `show` takes: versions by their labels, and the newest one as that. */
  get place() {
    const { versions } = this.picture;
    const labels = this.viewer.numbers.map((number) => versions[number]?.label);
    const newest = this.viewer.numbers[1] === versions.length - 2;
    return { part: this.part.selectedIndex, labels, newest, view: this.viewer.place };
  }

  async show(kept) {
    const { versions } = this.picture;
    const newest = versions.length - 2;
    const update = (label) => Number(/^update ([\d,]+)$/.exec(label)?.[1].replaceAll(",", "") ?? Number.NaN);
    const [left, right] = (kept?.labels ?? []).map((label) => {
      const same = versions.findIndex((each) => each.label === label);
      // Of a long training times are dropped: the one before is nearest to what was seen.
      return same < 0 ? versions.findLastIndex((each) => update(each.label) <= update(label)) : same;
    });
    await this.viewer.show(
      this.picture,
      Math.max(left ?? 0, 0),
      right >= 0 && !kept.newest ? right : newest,
    );
    if (kept) this.viewer.place = kept.view;
  }

  tell() {
    const right = this.viewer.numbers[1];
    this.time.value = right - 1;
    this.time.nextElementSibling.value = this.picture.versions[right].label;
  }
}

{
  const { state, written, every } = document.querySelector("header").dataset;
  const live = document.querySelector("#live");
  const boxes = [...document.querySelectorAll("input[type=checkbox]")];
  const places = () => [...document.querySelectorAll("input, select, button, summary, [tabindex]")];
  const kept = history.state;

  document.documentElement.classList.add("scripted");
  for (const [n, checked] of (kept?.checked ?? []).entries()) if (boxes[n]) boxes[n].checked = checked;
  const seen = document.querySelector(".subject") ? new OverTime(kept?.seen) : null;
  if (kept) {
    history.scrollRestoration = "manual";
    scrollTo(0, kept.scroll);
    places()[kept.focused]?.focus({ preventScroll: true });
  }

  const again = () => {
    history.replaceState({
      seen: seen?.place,
      checked: boxes.map((box) => box.checked),
      focused: places().indexOf(document.activeElement),
      scroll: scrollY,
    }, "");
    location.reload();
  };

  let held = false; // a pointer: something is dragged
  for (const kind of ["pointerdown", "pointerup", "pointercancel"]) {
    addEventListener(kind, () => (held = kind === "pointerdown"), true);
  }
  const loaded = Date.now();
  const look = () => {
    const age = Date.now() / 1000 - written;
    if (age > Math.max(STALE_SECONDS, STALE_TIMES * every)) {
      document.querySelector("#age").textContent =
        `Nothing has been written for ${Math.round(age / 60)} minutes: it may have been stopped.`;
    }
    const due = Date.now() - loaded > 1000 * every;
    const busy = held || document.hidden || !getSelection().isCollapsed || document.activeElement?.matches("select");
    if (due && live.checked && !busy) again();
  };
  if (state === "running") setInterval(look, 1000);
}
