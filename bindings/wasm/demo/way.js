// The way from the noise of one seed to that of another, as an animation.

const SECONDS_PER_WAY = 3;

export function wayBetween({ $, paint, tell }) {
  let model;
  let wanted = [];
  // Places in the grid, from and to.
  let ends = [0, 1];
  let playing = false;
  let busy = false;

  function mark() {
    for (const [index, item] of [...$("pictures").children].entries()) {
      item.firstChild.setAttribute("aria-pressed", String(ends.includes(index)));
    }
    const [from, to] = ends.map((index) => wanted[index]);
    $("way-text").textContent = `From seed ${from.seed} to seed ${to.seed}, in the class of the first.`;
  }

  /** Draws the picture at the slider, unless one is being made. */
  async function draw() {
    if (busy || wanted.length === 0) return;
    busy = true;
    const [from, to] = ends.map((index) => wanted[index]);
    try {
      const position = Number($("position").value);
      paint($("between"), await model.generate({ ...from, towards: to.seed, position }));
    } catch (error) {
      stop();
      tell(error);
    } finally {
      busy = false;
    }
  }

  function stop() {
    playing = false;
    $("play").textContent = "Play";
    $("play").setAttribute("aria-pressed", "false");
  }

  function play() {
    playing = true;
    $("play").textContent = "Pause";
    $("play").setAttribute("aria-pressed", "true");
    const started = performance.now() - Number($("position").value) * SECONDS_PER_WAY * 1000;
    const step = async (now) => {
      if (!playing) return;
      const phase = ((now - started) / 1000 / SECONDS_PER_WAY) % 2;
      // There and back.
      $("position").value = phase < 1 ? phase : 2 - phase;
      await draw();
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  $("play").addEventListener("click", () => (playing ? stop() : play()));
  $("position").addEventListener("input", () => {
    stop();
    draw();
  });

  return {
    /** Takes the pictures of the grid. */
    follow(newModel, requests) {
      model = newModel;
      wanted = requests;
      mark();
      draw();
    },
    /** A picture was chosen: it becomes the end, the end the start. */
    choose(index) {
      if (index === ends[1]) return;
      ends = [ends[1], index];
      $("position").value = 0;
      mark();
      draw();
    },
  };
}
