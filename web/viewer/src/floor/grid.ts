// Where machines stand: in rows, with an aisle after every block of ten columns.

export const BLOCK = 10;
const AISLE = 1.5; // widths of a machine's place

export interface Place {
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
    return along(this.columns - 1) + 1;
  }

  get depth(): number {
    return this.rows;
  }

  /** The middle of a machine's place; the middle of all is the origin. */
  place(index: number): Place {
    return {
      x: along(index % this.columns) + 0.5 - this.width / 2,
      z: Math.floor(index / this.columns) + 0.5 - this.depth / 2,
    };
  }

  /** Which machine stands there, if one does. */
  at({ x, z }: Place): number | null {
    const right = x + this.width / 2;
    const block = Math.floor(right / (BLOCK + AISLE));
    const within = Math.floor(right - block * (BLOCK + AISLE));
    const row = Math.floor(z + this.depth / 2);
    const column = block * BLOCK + within;
    if (right < 0 || within >= BLOCK || column >= this.columns || row < 0 || row >= this.rows) return null;
    const index = row * this.columns + column;
    return index < this.count ? index : null;
  }
}

function along(column: number): number {
  return column + Math.floor(column / BLOCK) * AISLE;
}
