// Tables that scroll sideways can be reached and scrolled with the keyboard.
for (const wrap of document.querySelectorAll(".md-typeset__scrollwrap")) {
  if (wrap.scrollWidth > wrap.clientWidth) wrap.tabIndex = 0
}
