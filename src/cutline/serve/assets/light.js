// Where the captioner looked, laid over a picture as light; as cutline/explain/overlay.py has it.

const SIGMA = 0.6; // width of the light of one cell, in cells
const DIM = 0.36; // what is left of the brightness where nobody looked
const LINE = [255, 214, 102];

// How much each cell between two shares of a side lights each pixel: rows that sum to 1, or 0.
function weights(pixels, cells, start, end) {
  return Array.from({ length: pixels }, (_, pixel) => {
    const place = (((pixel + 0.5) / pixels - start) / (end - start)) * cells;
    if (place < 0 || place > cells) return new Float64Array(cells);
    const row = Float64Array.from({ length: cells }, (_, cell) => Math.exp(-0.5 * ((place - cell - 0.5) / SIGMA) ** 2));
    const total = row.reduce((sum, weight) => sum + weight, 0);
    return total > 0 ? row.map((weight) => weight / total) : row;
  });
}

function mix(rows, grid, columns) {
  const light = new Float32Array(rows.length * columns.length);
  rows.forEach((row, y) => {
    const across = grid[0].map((_, j) => row.reduce((sum, weight, i) => sum + weight * Math.max(grid[i][j], 0), 0));
    for (let x = 0; x < columns.length; x += 1) {
      let sum = 0;
      for (let j = 0; j < across.length; j += 1) sum += columns[x][j] * across[j];
      light[y * columns.length + x] = sum;
    }
  });
  return light;
}

// Attention (h, w) over a picture of width x height, 0 to 1; `area` is what the grid divides.
export function spread(grid, [left, top, right, bottom], width, height) {
  const [h, w] = [grid.length, grid[0].length];
  const light = mix(weights(height, h, top, bottom), grid, weights(width, w, left, right));
  const cells = mix(weights(h, h, 0, 1), grid, weights(w, w, 0, 1));
  let peak = 0;
  for (const part of [light, cells]) for (const value of part) if (value > peak) peak = value;
  return peak > 0 ? light.map((value) => value / peak) : light;
}

function slope(light, at, step, first, last) {
  const before = first ? at : at - step;
  const after = last ? at : at + step;
  return before === after ? 0 : (light[after] - light[before]) / ((after - before) / step);
}

// How strongly the line at half the light is drawn at a pixel, 0 to 1.
function ink(light, x, y, width, height) {
  const at = y * width + x;
  const across = slope(light, at, 1, x === 0, x === width - 1);
  const down = slope(light, at, width, y === 0, y === height - 1);
  const distance = Math.abs(light[at] - 0.5) / Math.max(Math.hypot(across, down), 1e-4);
  return Math.min(1, Math.max(0, Math.max(0.75, Math.max(width, height) / 800) + 0.5 - distance));
}

// The picture dimmed to grey: what shows where nobody looked.
export function dimmed(context, picture) {
  const { width, height } = context.canvas;
  context.clearRect(0, 0, width, height);
  context.drawImage(picture, 0, 0, width, height);
  const grey = context.getImageData(0, 0, width, height);
  for (let at = 0; at < grey.data.length; at += 4) {
    const [r, g, b] = grey.data.subarray(at, at + 3);
    grey.data.fill(DIM * (0.299 * r + 0.587 * g + 0.114 * b), at, at + 3);
  }
  return grey;
}

// Draw the dimmed picture where there is no light, and the line around where there is.
export function draw(context, grey, light) {
  const { width, height } = context.canvas;
  const shown = new ImageData(new Uint8ClampedArray(grey.data), width, height);
  for (let y = 0; y < height; y += 1) for (let x = 0; x < width; x += 1) {
    const at = y * width + x;
    const line = ink(light, x, y, width, height);
    const veil = 1 - light[at];
    for (let c = 0; c < 3; c += 1) shown.data[4 * at + c] += line * (LINE[c] - shown.data[4 * at + c]);
    shown.data[4 * at + 3] = 255 * (line + (1 - line) * veil);
  }
  context.putImageData(shown, 0, 0);
}
