// Mark inline code that may be longer than a line of a telephone: text.css keeps all other code on one line.
for (const code of document.querySelectorAll(".md-typeset :not(pre) > code")) {
  const text = code.textContent
  if (text.length > 30) code.classList.add(text.includes(" ") ? "spaced" : "long")
}
