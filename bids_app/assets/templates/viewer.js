"use strict";
const SVG = "http://www.w3.org/2000/svg";
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

class Viewer {
  constructor(element) {
    this.element = element;
    const { affine, planes } = JSON.parse(this.one(".content").textContent);
    this.affine = affine;
    this.names = this.all(".contour").map((box) => box.parentElement.textContent);
    this.colours = this.all(".contour").map((box) => box.nextElementSibling.style.getPropertyValue("--colour"));
    this.planes = planes.map((plane, index) => this.plane(plane, this.all(".plane")[index]));
    this.active = this.planes[0];
    this.contrast = this.before = 0;
    // Voxel under the crosshair, along the axes of the image.
    this.point = [0, 0, 0];
    for (const plane of this.planes) this.point[plane.axes[2]] = plane.slices[plane.number];
    this.listen();
    for (const hidden of this.all(".choices, .slice, .keys")) hidden.hidden = false;
    this.choose();
  }

  one(selector) {
    return this.element.querySelector(selector);
  }

  all(selector) {
    return Array.from(this.element.querySelectorAll(selector));
  }

  plane(content, figure) {
    const one = (selector) => figure.querySelector(selector);
    const plane = {
      ...content,
      number: Number(one(".slice").value),
      scene: one(".scene"),
      tile: one(".tile"),
      images: Array.from(figure.querySelectorAll("image")),
      crosshair: one(".crosshair"),
      side: one(".side"),
      where: one(".where"),
      slider: one(".slice"),
      frame: one(".frame"),
    };
    one(".lines").replaceChildren();
    plane.lines = plane.paths.map((_, number) =>
      ["left", "right"].map((side) => {
        const path = document.createElementNS(SVG, "path");
        path.dataset.side = side;
        one(".lines").append(path);
        return path;
      }),
    );
    return plane;
  }

  listen() {
    this.element.addEventListener("input", (event) => {
      const plane = this.planes.find((each) => each.slider === event.target);
      if (plane) this.turn(plane, Number(plane.slider.value));
      else if (event.target.matches(".contrast")) this.show(Number(event.target.value));
      else this.choose();
    });
    for (const plane of this.planes) {
      const { frame } = plane;
      frame.addEventListener("pointerenter", () => (this.active = plane));
      frame.addEventListener(
        "wheel",
        (event) => {
          if (event.ctrlKey) return;
          event.preventDefault();
          this.turn(plane, plane.number + (event.deltaY < 0 ? 1 : -1));
        },
        { passive: false },
      );
      frame.addEventListener("pointerdown", (event) => {
        this.active = plane;
        frame.setPointerCapture(event.pointerId);
        this.pick(plane, event);
      });
      frame.addEventListener("pointermove", (event) => {
        if (frame.hasPointerCapture(event.pointerId)) this.pick(plane, event);
      });
      plane.slider.addEventListener("focus", () => (this.active = plane));
    }
    new ResizeObserver(() => this.draw()).observe(this.one(".planes"));
  }

  // The voxel at the pointer, of which the other planes show their slices.
  pick(plane, event) {
    const box = plane.frame.getBoundingClientRect();
    const [left, top, width, height] = this.part(plane);
    const across = left + ((event.clientX - box.left) / box.width) * width;
    const down = top + ((event.clientY - box.top) / box.height) * height;
    const [u, v] = plane.axes;
    this.point[u] = plane.origin[0] + Math.floor(clamp(across, 0, plane.size[0] - 1));
    this.point[v] = plane.origin[1] + plane.size[1] - 1 - Math.floor(clamp(down, 0, plane.size[1] - 1));
    for (const other of this.planes) {
      if (other !== plane) other.number = nearest(other.slices, this.point[other.axes[2]]);
    }
    this.draw();
  }

  turn(plane, number) {
    plane.number = clamp(number, 0, plane.slices.length - 1);
    this.point[plane.axes[2]] = plane.slices[plane.number];
    this.draw();
  }

  show(contrast) {
    if (contrast === this.contrast) return;
    this.before = this.contrast;
    this.contrast = contrast;
    this.all(".contrast")[contrast].checked = true;
    this.draw();
  }

  flicker() {
    const count = this.all(".contrast").length;
    this.show(this.before === this.contrast ? (this.contrast + 1) % count : this.before);
  }

  choose() {
    this.chosen = this.all(".contour").flatMap((box, number) => (box.checked ? [number] : []));
    this.element.classList.toggle("filled", this.one(".fill").checked);
    this.element.classList.toggle("raw-voxels", this.one(".raw").checked);
    const by = this.one(".legend");
    const alone = this.chosen.length === 1;
    by.replaceChildren();
    if (alone) {
      by.append(swatch("var(--left)"), "left and ", swatch("var(--right)"), `right thalamus by ${this.names[this.chosen[0]]}. `);
    } else {
      for (const number of this.chosen) by.append(swatch(this.colours[number]), `${this.names[number]} `);
    }
    by.append("Neurological convention: left is left. ");
    this.readout = by.appendChild(document.createElement("span"));
    for (const { lines } of this.planes) {
      lines.forEach((pair, number) => {
        for (const path of pair) {
          path.style.setProperty("--colour", alone ? `var(--${path.dataset.side})` : this.colours[number]);
          path.style.opacity = this.one(".opacity").value / 100;
        }
      });
    }
    this.draw();
  }

  // What of a plane is seen: left, top, width and height in voxels.
  part(plane) {
    const [width, height] = plane.size;
    const chosen = Number(this.one(".zoom").value);
    const voxel = Math.min(...this.planes.flatMap(({ extent, size }) => [extent[0] / size[0], extent[1] / size[1]]));
    const zoom = chosen || plane.extent[0] / voxel / (plane.frame.clientWidth * (devicePixelRatio || 1));
    if (zoom === 1) return [0, 0, width, height];
    const [w, h] = [width / zoom, height / zoom];
    const place = (middle, size, full) => (size >= full ? (full - size) / 2 : clamp(middle - size / 2, 0, full - size));
    const [across, down] = this.place(plane);
    return [place(across, w, width), place(down, h, height), w, h];
  }

  // Where the crosshair is in a plane, voxels from the left and from the top.
  place(plane) {
    const [u, v] = plane.axes;
    return [this.point[u] - plane.origin[0] + 0.5, plane.size[1] - (this.point[v] - plane.origin[1]) - 0.5];
  }

  draw() {
    const contrast = this.all(".contrast")[this.contrast].parentElement.textContent;
    for (const plane of this.planes) {
      const { number, size } = plane;
      const slice = plane.slices[number];
      const tile = plane.tile.viewBox.baseVal;
      [tile.x, tile.y] = plane.corners[number];
      plane.images.forEach((image, index) => image.setAttribute("visibility", index === this.contrast ? "visible" : "hidden"));
      plane.lines.forEach((pair, index) =>
        pair.forEach((path, side) => {
          path.setAttribute("d", this.chosen.includes(index) ? plane.paths[index][side][number] : "");
        }),
      );
      plane.scene.setAttribute("viewBox", this.part(plane).join(" "));
      const [across, down] = this.place(plane);
      const lines = `M0 ${down}H${across - 3}M${across + 3} ${down}H${size[0]}M${across} 0V${down - 3}M${across} ${down + 3}V${size[1]}`;
      plane.crosshair.setAttribute("d", this.one(".cross").checked ? lines : "");
      const side = plane.sides[number];
      plane.side.hidden = !side;
      plane.side.textContent = side;
      const hemisphere = { L: ", left side", R: ", right side" }[side] || "";
      plane.where.textContent = `${slice}${hemisphere}`;
      plane.slider.value = number;
      plane.slider.setAttribute("aria-valuetext", `slice ${slice}${hemisphere}`);
      plane.scene.setAttribute("aria-label", `${plane.name} slice ${slice}${hemisphere}, ${contrast}`);
    }
    const world = this.affine.map((row) => row[3] + row.slice(0, 3).reduce((sum, value, axis) => sum + value * this.point[axis], 0));
    this.readout.textContent = `Crosshair: voxel ${this.point.join(", ")}; ${world.map((mm) => mm.toFixed(1)).join(", ")} mm.`;
  }

  key(event) {
    const toggle = (selector) => {
      this.one(selector).checked = !this.one(selector).checked;
      this.choose();
    };
    const boxes = this.all(".contour");
    const arrow = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 5, PageDown: -5 }[event.key];
    const digit = Number(event.key);
    if (arrow && !event.target.matches("input, select")) this.turn(this.active, this.active.number + arrow);
    else if (digit >= 1 && digit <= this.all(".contrast").length) this.show(digit - 1);
    else if (event.key === "f") this.flicker();
    else if (event.key === "c") {
      // Those that were on come back.
      const off = this.chosen.length > 0;
      if (off) this.kept = this.chosen;
      boxes.forEach((box, number) => (box.checked = !off && (this.kept || [0]).includes(number)));
      this.choose();
    } else if (event.key === "n" && boxes.length) {
      const next = ((this.chosen.at(-1) ?? -1) + 1) % boxes.length;
      boxes.forEach((box, number) => (box.checked = number === next));
      this.choose();
    } else if (event.key === "z") {
      const zoom = this.one(".zoom");
      zoom.selectedIndex = (zoom.selectedIndex + 1) % zoom.options.length;
      this.draw();
    } else if (event.key === "v") toggle(".raw");
    else if (event.key === "x") toggle(".cross");
    else return;
    event.preventDefault();
  }
}

function nearest(slices, wanted) {
  let best = 0;
  slices.forEach((slice, number) => {
    if (Math.abs(slice - wanted) < Math.abs(slices[best] - wanted)) best = number;
  });
  return best;
}

function swatch(colour) {
  const element = document.createElement("i");
  element.className = "swatch";
  element.style.setProperty("--colour", colour);
  return element;
}

const viewers = Array.from(document.querySelectorAll(".viewer"), (element) => new Viewer(element));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select")) return;
  const viewer = viewers.find(({ element }) => element.matches(":hover, :focus-within"));
  if (viewer) viewer.key(event);
});
