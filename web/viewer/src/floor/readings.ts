// The latest readings of a plant's machines, and their history.

import { displayState, type DisplayState } from "./display-state";

export interface Sensor {
  machine: string;
  seen_at: number;
  status: string;
  state: "alive" | "stale" | "lost";
  rpm: number | null;
  temperature_c: number | null;
  vibration_mm_s: number | null;
}

export const MEASURES = [
  { key: "rpm", label: "Speed", unit: "1/min" },
  { key: "temperature_c", label: "Temperature", unit: "°C" },
  { key: "vibration_mm_s", label: "Vibration", unit: "mm/s" },
] as const;

const HISTORY_LENGTH = 120; // readings per machine: two minutes at one per second

export interface Machine {
  sensor: Sensor;
  displayState: DisplayState;
  /** A ring buffer of HISTORY_LENGTH values per measure; `next` is the index of the next value. */
  rings: Float32Array;
  next: number;
}

export class Readings {
  readonly #indexes = new Map<string, number>();
  readonly machines: Machine[] = [];

  /** Applies new readings. Returns the indexes of machines whose display state changed. */
  apply(sensors: readonly Sensor[]): number[] {
    const changed: number[] = [];
    for (const sensor of sensors) {
      const index = this.#indexes.get(sensor.machine) ?? this.#add(sensor);
      const machine = this.machines[index]!;
      const state = displayState(sensor);
      if (state !== machine.displayState) changed.push(index);
      machine.sensor = sensor;
      machine.displayState = state;
      addToHistory(machine, sensor);
    }
    return changed;
  }

  /** Applies changes to stale, lost or alive. Returns the indexes of the machines. */
  applyStates(states: Record<string, Sensor["state"]>): number[] {
    const changed: number[] = [];
    for (const [name, state] of Object.entries(states)) {
      const index = this.#indexes.get(name);
      const machine = index === undefined ? undefined : this.machines[index];
      if (!machine) continue;
      machine.sensor = { ...machine.sensor, state };
      machine.displayState = displayState(machine.sensor);
      changed.push(index!);
    }
    return changed;
  }

  counts(): Map<DisplayState, number> {
    const counts = new Map<DisplayState, number>();
    for (const { displayState } of this.machines) counts.set(displayState, (counts.get(displayState) ?? 0) + 1);
    return counts;
  }

  #add(sensor: Sensor): number {
    const index = this.machines.length;
    this.#indexes.set(sensor.machine, index);
    const rings = new Float32Array(HISTORY_LENGTH * MEASURES.length).fill(NaN);
    this.machines.push({ sensor, displayState: displayState(sensor), rings, next: 0 });
    return index;
  }
}

function addToHistory(machine: Machine, sensor: Sensor): void {
  MEASURES.forEach(({ key }, number) => (machine.rings[number * HISTORY_LENGTH + machine.next] = sensor[key] ?? NaN));
  machine.next = (machine.next + 1) % HISTORY_LENGTH;
}

/** The values of a measure, oldest first, without gaps. */
export function history(machine: Machine, measure: number): number[] {
  const ring = machine.rings.subarray(measure * HISTORY_LENGTH, (measure + 1) * HISTORY_LENGTH);
  return [...ring.subarray(machine.next), ...ring.subarray(0, machine.next)].filter((value) => !Number.isNaN(value));
}
