// The form for a key, where the API needs one. The key is kept for this tab only, and sent as a header.

const SLOT = "storepulse.key";
const REASONS = {
  "key.missing": "",
  "key.scope": "This key cannot read figures: it lacks the scope insights:read.",
  "key.origin": "This is a publishable key: it can only send events. Use a secret key with the scope insights:read.",
  "key.expired": "This key has expired.",
  "key.revoked": "This key has been revoked.",
};

export class Locked extends Error {}

export function authorization() {
  const key = sessionStorage.getItem(SLOT);
  return key ? { Authorization: `Bearer ${key}` } : {};
}

// Throws Locked, with what to tell the reader, if the answer says that a key is needed or will not do.
export async function checkAdmission(answer) {
  if (answer.status !== 401 && answer.status !== 403) return;
  const { code = "" } = await answer.json().catch(() => ({}));
  if (code.startsWith("key.")) throw new Locked(REASONS[code] ?? "This key is not known.");
}

export class KeyForm {
  // `onKey` is called when there is another key to try.
  constructor(form, leave, main, onKey) {
    [this.form, this.leave, this.main] = [form, leave, main];
    this.input = form.querySelector("input");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const key = this.input.value.trim();
      if (!key) return;
      sessionStorage.setItem(SLOT, key);
      this.input.value = "";
      onKey();
    });
    leave.addEventListener("click", () => {
      sessionStorage.removeItem(SLOT);
      location.reload(); // takes the figures off the screen as well
    });
  }

  shut(reason) {
    sessionStorage.removeItem(SLOT);
    this.form.querySelector(".reason").textContent = reason;
    this.form.querySelector(".reason").hidden = !reason;
    if (this.form.hidden) {
      this.form.hidden = false;
      this.input.focus();
    }
    this.main.hidden = this.leave.hidden = true;
  }

  open() {
    this.form.hidden = true;
    this.main.hidden = false;
    this.leave.hidden = !sessionStorage.getItem(SLOT);
  }
}
