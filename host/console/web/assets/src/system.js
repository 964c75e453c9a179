// The page that restores a backup: the file goes to the API, and the page of
// the job that checks it comes next.
const form = document.getElementById("restore");

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  const file = form.querySelector("input[type=file]").files[0];
  if (!file) return;
  const sent = document.getElementById("sent");
  const said = document.getElementById("restore-said");
  const button = form.querySelector("button");
  const say = (text, bad) => {
    said.hidden = false;
    said.textContent = text;
    said.className = bad ? "wrong" : "muted";
    button.disabled = !bad;
  };
  // fetch does not tell how much was sent.
  const request = new XMLHttpRequest();
  request.open("POST", "/api/v1/restore");
  request.upload.onprogress = (e) => {
    sent.hidden = false;
    if (e.lengthComputable) sent.value = e.loaded / e.total;
  };
  request.onload = () => {
    let answer = {};
    try { answer = JSON.parse(request.responseText); } catch { /* told below */ }
    if (request.status === 200) {
      location.assign("/jobs/" + encodeURIComponent(answer.id));
    } else if (answer.error?.code === "confirm") {
      location.assign("/confirm?next=" + encodeURIComponent(location.pathname));
    } else {
      say(answer.error ? answer.error.message : "The server did not take it.", true);
    }
  };
  request.onerror = () => say("The connection broke. Nothing was changed; try again.", true);
  say("Sending…", false);
  request.send(file);
});
