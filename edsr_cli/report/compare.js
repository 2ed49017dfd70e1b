
// The page of edsr compare: every section is a picture, every figure in it a version.

{
  const viewer = new Viewer(document.querySelector(".viewer"));
  const sections = [...document.querySelectorAll(".subject")];
  const pictures = sections.map(pictureIn);
  const choice = document.querySelector("#picture");
  const choose = () => {
    const chosen = choice ? choice.selectedIndex : 0;
    for (const [n, section] of sections.entries()) section.hidden = n !== chosen;
    viewer.show(pictures[chosen], 0, Number(sections[chosen].dataset.right));
  };
  choice?.addEventListener("change", choose);
  document.documentElement.classList.add("scripted");
  choose();
}
