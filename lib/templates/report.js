
"use strict";
(() => {
  const tools = document.getElementById("tools");
  const box = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const nothing = document.getElementById("nothing");
  const unfold = document.getElementById("unfold");
  const whole = document.getElementById("differences");
  const all = (node, selector) => Array.from(node.querySelectorAll(selector));

  // On paper everything is unfolded.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all(document, "details:not([open])");
    for (const details of folded) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of folded) details.open = false;
    folded = [];
  });

  // A page without differences has nothing to filter.
  if (!tools) return;

  // Built at the first use: a report may hold tens of thousands of differences.
  let index = null;
  let total = 0;
  const build = () => {
    index = all(whole, "section.schema").map((schema) => ({
      node: schema,
      groups: all(schema, ".group").map((group) => {
        const title = group.querySelector("h4").textContent;
        return {
          node: group,
          items: all(group, ".item").map((item) => {
            const parts = all(item, ".part").map((part) => part.textContent);
            const what = item.querySelector(".what").textContent;
            total += 1;
            return { node: item, text: [title, what, item.dataset.words, ...parts].join(" ").toLowerCase() };
          }),
        };
      }),
    }));
  };
  const put = (node, visible) => {
    node.classList.toggle("out", !visible);
    return visible;
  };
  const filter = () => {
    if (!index) build();
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const schema of index) {
      let some = false;
      for (const group of schema.groups) {
        let one = false;
        for (const item of group.items) {
          if (put(item.node, words.every((word) => item.text.includes(word)))) {
            one = true;
            count += 1;
          }
        }
        some = put(group.node, one) || some;
      }
      put(schema.node, some);
    }
    shown.textContent = words.length ? `${count} of ${total} shown` : "";
    nothing.hidden = count > 0;
  };

  let waiting = 0;
  box.addEventListener("input", () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(filter);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== box && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      box.focus();
    } else if (event.key === "Escape" && document.activeElement === box && box.value) {
      box.value = "";
      filter();
    }
  });

  unfold.addEventListener("click", () => {
    const open = unfold.getAttribute("aria-pressed") !== "true";
    for (const details of all(whole, "details")) details.open = open;
    unfold.setAttribute("aria-pressed", String(open));
    unfold.textContent = open ? "Fold all" : "Unfold all";
  });

  // A link of the summary leads to its place, even when the filter has it out.
  const arrive = () => {
    const place = /^#o\d+$/.test(location.hash) && document.getElementById(location.hash.slice(1));
    if (place && place.classList.contains("out")) {
      box.value = "";
      filter();
      place.scrollIntoView();
    }
  };
  addEventListener("hashchange", arrive);

  // A browser may have kept what was typed before the page was loaded again.
  tools.hidden = false;
  if (box.value) filter();
})();
