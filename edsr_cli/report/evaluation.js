
// The page of edsr evaluate: the worst pictures open in a viewer, bicubic interpolation at the left.

{
  const element = document.querySelector("dialog");
  const dialog = element && new Dialog(element);
  for (const button of document.querySelectorAll("button[data-subject]")) {
    const picture = pictureIn(document.getElementById(button.dataset.subject));
    button.addEventListener("click", () => dialog.open(picture, 0, 1));
  }
  document.documentElement.classList.add("scripted");
}
