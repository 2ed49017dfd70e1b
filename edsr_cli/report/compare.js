
// The page of edsr compare: every section is a picture, every figure in it a version.

{
  const viewer = new Viewer(document.querySelector(".viewer"));
  const sections = [...document.querySelectorAll(".subject")];
  const pictures = sections.map((section) => {
    const { name, width, height, border, reference } = section.dataset;
    const versions = [...section.querySelectorAll("figure")].map((figure) => new Version({
      label: figure.dataset.label,
      uri: figure.querySelector("img")?.src,
      address: figure.dataset.address,
      tagged: "tagged" in figure.dataset,
    }));
    return {
      name, versions,
      width: Number(width), height: Number(height), border: Number(border),
      reference: "reference" in section.dataset ? versions.at(-1) : undefined,
    };
  });
  const choice = document.querySelector("#picture");
  const choose = () => {
    const chosen = choice ? choice.selectedIndex : 0;
    sections.forEach((section, n) => (section.hidden = n !== chosen));
    viewer.show(pictures[chosen], 0, Number(sections[chosen].dataset.right));
  };
  choice?.addEventListener("change", choose);
  document.documentElement.classList.add("scripted");
  choose();
}
