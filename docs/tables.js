// Tables that scroll sideways can be reached and scrolled with the keyboard. The theme wraps them later.
function reachTables() {
  for (const wrap of document.querySelectorAll(".md-typeset__scrollwrap")) {
    if (wrap.scrollWidth > wrap.clientWidth) wrap.tabIndex = 0
  }
}
new MutationObserver(reachTables).observe(document.body, { childList: true, subtree: true })
reachTables()
