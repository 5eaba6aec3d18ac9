// Corrections of the theme's HTML for screen readers and keyboards. The theme adds elements after loading.
function correct() {
  // Wide tables and code blocks scroll, so the keyboard must reach them. After a change of the window's size,
  // the theme makes code blocks unreachable again.
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap, pre > code")) {
    const scrolls = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight
    if (scrolls && box.tabIndex < 0) box.tabIndex = 0
  }
  // The buttons of a code block and the nested lists of a table of contents are not landmarks.
  const groups = "nav.md-code__nav:not([role]), .md-nav--secondary nav.md-nav:not([role])"
  for (const group of document.querySelectorAll(groups)) {
    group.removeAttribute("aria-label")
    group.setAttribute("role", "none")
  }
  // A section with an index page refers to a label that does not exist.
  for (const nav of document.querySelectorAll("nav.md-nav[aria-labelledby]")) {
    if (document.getElementById(nav.getAttribute("aria-labelledby"))) continue
    nav.removeAttribute("aria-labelledby")
    nav.setAttribute("aria-label", nav.parentElement.querySelector("a").textContent.trim())
  }
}
new MutationObserver(correct).observe(document.body, {
  attributeFilter: ["tabindex"],
  childList: true,
  subtree: true,
})
addEventListener("resize", correct)
correct()
