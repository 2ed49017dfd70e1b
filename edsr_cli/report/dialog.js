
/** A viewer that opens over the page, in the element that the macro `dialog` gives. */
class Dialog {
  constructor(element) {
    this.element = element;
    this.title = element.querySelector("h2");
    this.viewer = new Viewer(element.querySelector(".viewer"), element);
    element.querySelector(".close").addEventListener("click", () => element.close());
  }

  /** Show two versions of a picture; see `Viewer.show`. */
  open(picture, left, right) {
    this.title.textContent = picture.name;
    this.element.showModal();
    this.viewer.show(picture, left, right);
    this.viewer.stage.focus(); // or the space bar, which blinks, would press the button that closes
  }
}
