// Uploads go straight to the API: a zip is unpacked into the draft, any other
// file is put beside the one that is open.

export function uploads() {
  const form = document.getElementById("upload");
  if (!form) return;
  form.hidden = false;
  const say = form.querySelector("[role=status]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    const { files } = form.elements.files;
    if (files.length === 0) {
      say.textContent = "Choose a file first.";
      return;
    }
    for (const file of files) {
      say.textContent = `Uploading ${file.name}…`;
      const failed = file.name.endsWith(".zip") ? await zip(form, file) : await plain(form, file);
      if (failed) {
        say.textContent = `${file.name}: ${failed}`;
        return;
      }
    }
    location.reload();
  });
}

async function zip(form, file) {
  const query = new URLSearchParams({ package: form.dataset.package, whole: form.elements.whole.checked });
  return send("POST", "/api/v1/copies/upload?" + query, file);
}

async function plain(form, file) {
  const folder = form.elements.folder.value.replace(/^\/+|\/+$/g, "");
  const path = (folder ? folder + "/" : "") + file.name;
  const place = new URLSearchParams({ package: form.dataset.package, path });
  // It replaces whatever is there now.
  const now = await fetch("/api/v1/copies/file?" + place).catch(() => null);
  if (!now || now.status >= 500) return "the server does not answer";
  place.set("base", now.ok ? now.headers.get("ETag").replaceAll('"', "") : "");
  return send("PUT", "/api/v1/copies/file?" + place, file);
}

// send returns why it failed, "" when it did not.
async function send(method, url, body) {
  try {
    const answer = await fetch(url, { method, body, headers: { "Content-Type": "application/octet-stream" } });
    if (answer.ok) return "";
    const { error } = await answer.json();
    return error.message;
  } catch {
    return "the server does not answer";
  }
}
