"use strict";
// The filters of the check tables and the switch of the colour scheme; the page is whole without them.
(() => {
  const root = document.documentElement;
  const button = document.getElementById("scheme");
  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.scheme || (systemDark.matches ? "dark" : "light")) === "dark";
  const label = () => { button.textContent = isDark() ? "Light scheme" : "Dark scheme"; };
  button.hidden = false;
  button.addEventListener("click", () => { root.dataset.scheme = isDark() ? "light" : "dark"; label(); });
  systemDark.addEventListener("change", label);
  label();

  const words = (row) => {
    const next = row.nextElementSibling;
    const more = next && next.classList.contains("more") ? next.textContent : "";
    return (row.textContent + " " + more).toLowerCase();
  };

  for (const form of document.querySelectorAll("form.filter")) {
    const tables = document.getElementById(form.dataset.tables);
    const folds = [...tables.querySelectorAll("details.fold")];
    const groups = [...tables.querySelectorAll("tbody")].map((body) => ({
      body, rows: [...body.querySelectorAll("tr.check")].map((row) => ({ row, text: words(row) })),
    }));
    const total = groups.reduce((sum, group) => sum + group.rows.length, 0);
    const apply = () => {
      const outcomes = new Set([...form.querySelectorAll("[name=outcome]:checked")].map((box) => box.value));
      const contract = form.elements.contract.value;
      const text = form.elements.text.value.trim().toLowerCase();
      let shown = 0;
      for (const { body, rows } of groups) {
        let here = 0;
        for (const { row, text: own } of rows) {
          const fits = outcomes.has(row.dataset.outcome) && (!contract || contract === body.dataset.contract) && own.includes(text);
          row.hidden = !fits;
          const next = row.nextElementSibling;
          if (next && next.classList.contains("more")) next.hidden = !fits;
          here += fits ? 1 : 0;
        }
        body.hidden = here === 0;
        shown += here;
      }
      for (const fold of folds) fold.hidden = !fold.querySelector("tr.check:not([hidden])");
      form.querySelector("output").textContent = `${shown} of ${total} checks`;
    };
    form.hidden = false;
    // Who looks for something sees it wherever it is folded.
    form.addEventListener("input", () => { apply(); for (const fold of folds) fold.open = true; });
    form.addEventListener("submit", (event) => event.preventDefault());
    apply();
  }

  // What a reader prints should have every finding on it.
  const closed = new Set();
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details.fold:not([open]), tr.more details:not([open])")) {
      closed.add(details); details.open = true;
    }
  });
  addEventListener("afterprint", () => { for (const details of closed) details.open = false; closed.clear(); });
})();
