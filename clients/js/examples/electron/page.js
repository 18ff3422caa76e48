const at = (id) => document.getElementById(id);
let draft = null;

drafts.onLeading((text) => (at("answer").value = text));
at("draft").onclick = async () => {
  draft = await drafts.draft(at("prompt").value);
  if (draft) at("answer").value = draft.text;
};
at("cancel").onclick = () => drafts.cancel();
at("send").onclick = () => draft && drafts.sent(draft, at("answer").value);
