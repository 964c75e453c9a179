// Passkeys: the page that makes one, and the button of the login page.

const said = document.getElementById("passkey-said");

function say(text, bad) {
  said.hidden = false;
  said.textContent = text;
  said.className = bad ? "wrong" : "muted";
}

async function call(path, body) {
  const answer = await fetch("/api/v1" + path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const json = await answer.json();
  if (answer.ok) return json;
  throw Object.assign(new Error(json.error?.message ?? "The server did not take it."), { code: json.error?.code });
}

// explain says in words what a browser calls by a name.
function explain(error) {
  switch (error.name) {
    case "NotAllowedError": return "You did not go on, or it took too long. Try again.";
    case "InvalidStateError": return "This device has a passkey for this console already.";
    case "SecurityError": return "Browsers have no passkeys for this address. Open the console at https and a host name, or at localhost.";
  }
  return error.message;
}

const supported = window.isSecureContext && window.PublicKeyCredential?.parseCreationOptionsFromJSON;

const make = document.getElementById("passkey-new");
if (make && !supported) {
  say("Browsers have no passkeys for this address. Open the console at https and a host name, or at localhost" + (location.hostname === "127.0.0.1" ? ": http://localhost:" + location.port : "") + ".", true);
  make.querySelector("button").disabled = true;
}
make?.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const begun = await call("/passkeys/begin", { name: make.querySelector("#name").value.trim() });
    say("Your browser asks you now…");
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(begun.options.publicKey);
    const credential = await navigator.credentials.create({ publicKey });
    await call("/passkeys", { id: begun.id, credential: credential.toJSON() });
    location.assign("/access");
  } catch (error) {
    if (error.code === "confirm") location.assign("/confirm?next=" + encodeURIComponent(location.pathname));
    say(explain(error), true);
  }
});

const login = document.getElementById("passkey-login");
if (login && supported) {
  login.hidden = false;
  login.addEventListener("click", async () => {
    try {
      const begun = await call("/login/passkey/begin", {});
      const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(begun.options.publicKey);
      const credential = await navigator.credentials.get({ publicKey });
      await call("/login/passkey", { id: begun.id, credential: credential.toJSON() });
      location.assign(document.querySelector("input[name=next]")?.value || "/");
    } catch (error) {
      say(explain(error), true);
    }
  });
}
