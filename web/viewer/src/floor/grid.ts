// Positions of machines: rows with an aisle after every ten columns.

const BLOCK_COLUMNS = 10;
const AISLE_WIDTH = 1.5; // cell widths

interface Position {
  x: number;
  z: number;
}

export class Grid {
  readonly columns: number;
  readonly rows: number;

  constructor(readonly count: number) {
    this.columns = Math.max(1, Math.ceil(Math.sqrt(count * 1.6)));
    this.rows = Math.max(1, Math.ceil(count / this.columns));
  }

  get width(): number {
    return columnOffset(this.columns - 1) + 1;
  }

  get depth(): number {
    return this.rows;
  }

  /** Center of a machine's cell; the origin is the center of the grid. */
  position(index: number): Position {
    return {
      x: columnOffset(index % this.columns) + 0.5 - this.width / 2,
      z: Math.floor(index / this.columns) + 0.5 - this.depth / 2,
    };
  }

  /** Index of the machine at a position; null if there is none. */
  indexAt({ x, z }: Position): number | null {
    const right = x + this.width / 2;
    const block = Math.floor(right / (BLOCK_COLUMNS + AISLE_WIDTH));
    const within = Math.floor(right - block * (BLOCK_COLUMNS + AISLE_WIDTH));
    const row = Math.floor(z + this.depth / 2);
    const column = block * BLOCK_COLUMNS + within;
    if (right < 0 || within >= BLOCK_COLUMNS || column >= this.columns || row < 0 || row >= this.rows) return null;
    const index = row * this.columns + column;
    return index < this.count ? index : null;
  }
}

function columnOffset(column: number): number {
  return column + Math.floor(column / BLOCK_COLUMNS) * AISLE_WIDTH;
}
