// The search that Ctrl-K opens on every page. Arrow keys walk the results.

export function search() {
  const dialog = document.getElementById("search");
  if (!dialog) return;
  const input = dialog.querySelector("input");

  const open = (event) => {
    event.preventDefault();
    if (dialog.open) return;
    dialog.showModal();
    input.select();
  };
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey) open(event);
  });
  for (const button of document.querySelectorAll("[data-search]")) button.addEventListener("click", open);

  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside it
  });
  dialog.addEventListener("keydown", (event) => {
    const links = [...dialog.querySelectorAll("#search-results a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "ArrowDown" && links.length) {
      event.preventDefault();
      links[Math.min(at + 1, links.length - 1)].focus();
    } else if (event.key === "ArrowUp" && links.length) {
      event.preventDefault();
      (at > 0 ? links[at - 1] : input).focus();
    }
  });
  dialog.querySelector("form").addEventListener("submit", (event) => {
    const first = dialog.querySelector("#search-results a");
    if (!first) return; // the page of the search says that there is nothing
    event.preventDefault();
    first.click();
  });
}
