"use strict";
{
  // Charts carry numbers of sessions and methods; their names are in this list.
  const { sessions, methods } = JSON.parse(document.getElementById("index").textContent);
  const tip = document.getElementById("tip");
  const search = document.getElementById("participant");
  const chosen = document.getElementById("chosen");
  const title = ([subject, session]) => "sub-" + subject + (session ? " ses-" + session : "");
  const participants = new Map();
  sessions.forEach(([subject], number) => {
    if (!participants.has(subject)) participants.set(subject, []);
    participants.get(subject).push(number);
  });
  const pageOf = (number) => {
    if (sessions[number][2]) return sessions[number][2];
    const others = participants.get(sessions[number][0]).map((other) => sessions[other][2]);
    return others.find((page) => page) || "";
  };

  function show(mark) {
    const number = Number(mark.dataset.s);
    const method = methods[mark.closest("[data-method]").dataset.method];
    const label = mark.closest("figure").dataset.label;
    tip.replaceChildren();
    const lines = [title(sessions[number]), method, label + ": " + mark.dataset.v];
    if (pageOf(number)) lines.push("Click for its page");
    for (const line of lines) {
      const element = document.createElement("div");
      element.textContent = line;
      tip.append(element);
    }
    tip.hidden = false;
    const box = mark.getBoundingClientRect();
    const left = Math.min(box.right + 8, innerWidth - tip.offsetWidth - 8);
    const below = box.bottom + 8 + tip.offsetHeight > innerHeight;
    tip.style.left = Math.max(8, left) + "px";
    tip.style.top = (below ? box.top - tip.offsetHeight - 8 : box.bottom + 8) + "px";
  }

  let lit = [];
  function highlight(subject) {
    for (const mark of lit) mark.classList.remove("on");
    lit = [];
    for (const number of participants.get(subject) || []) {
      lit.push(...document.querySelectorAll(`circle[data-s="${number}"]`));
    }
    for (const mark of lit) {
      mark.classList.add("on");
      mark.parentElement.append(mark);
    }
    chosen.replaceChildren();
    if (!lit.length && subject) chosen.textContent = "No such participant in the charts";
    for (const number of participants.get(subject) || []) {
      const page = sessions[number][2];
      if (!page) continue;
      const link = document.createElement("a");
      link.href = page;
      link.textContent = title(sessions[number]);
      chosen.append(link, " ");
    }
  }

  document.addEventListener("pointerover", (event) => {
    const mark = event.target.closest("circle[data-s]");
    if (mark) show(mark);
    else tip.hidden = true;
  });
  document.addEventListener("click", (event) => {
    const mark = event.target.closest("circle[data-s]");
    if (mark) {
      const page = pageOf(Number(mark.dataset.s));
      if (page) location.href = page;
      else choose(sessions[mark.dataset.s][0]);
      return;
    }
    const row = event.target.closest("tr[data-subject]");
    if (row && !event.target.closest("a")) choose(row.dataset.subject);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      tip.hidden = true;
      choose("");
    }
  });
  function choose(subject) {
    search.value = subject;
    highlight(subject);
  }
  search.addEventListener("input", () => highlight(search.value.trim().replace(/^sub-/, "")));
  const names = document.getElementById("participants");
  for (const subject of participants.keys()) {
    const option = document.createElement("option");
    option.value = subject;
    names.append(option);
  }

  for (const box of document.querySelectorAll("#methods-shown input")) {
    box.addEventListener("change", () => {
      for (const part of document.querySelectorAll(`[data-method="${box.value}"]`)) part.hidden = !box.checked;
    });
  }

  const links = new Map();
  for (const link of document.querySelectorAll(".side li a")) links.set(link.hash.slice(1), link);
  const seen = new IntersectionObserver((entries) => {
    const entry = entries.find((each) => each.isIntersecting);
    if (!entry) return;
    for (const link of links.values()) link.removeAttribute("aria-current");
    links.get(entry.target.id)?.setAttribute("aria-current", "true");
  }, { rootMargin: "0px 0px -70% 0px" });
  for (const id of links.keys()) seen.observe(document.getElementById(id));
}
