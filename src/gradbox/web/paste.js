() => {
  // Gradio's files can be dropped or chosen; pasted ones go the same way, into the open tab's field.
  document.addEventListener("paste", (event) => {
    const pasted = event.clipboardData?.files;
    const fields = [...document.querySelectorAll(".drop input[type=file]")];
    const field = fields.find((one) => one.closest(".drop").offsetParent);
    if (!pasted?.length || !field) return;
    const files = new DataTransfer();
    for (const file of pasted) files.items.add(file);
    field.files = files.files;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  });
};
