// The floor in WebGL: all machines are instances of one box, so ten thousand machines take one draw call.
//
// A frame is rendered only when something has changed.

import {
  BoxGeometry,
  Color,
  DirectionalLight,
  DynamicDrawUsage,
  HemisphereLight,
  InstancedMesh,
  Matrix4,
  Mesh,
  MeshBasicMaterial,
  MeshLambertMaterial,
  PerspectiveCamera,
  Plane,
  PlaneGeometry,
  Raycaster,
  Scene,
  Vector2,
  Vector3,
  WebGLRenderer,
} from "three";
import { MapControls } from "three/examples/jsm/controls/MapControls.js";
import { releaseCanvas, type Scope } from "../teardown";
import { Grid } from "./grid";
import { STYLES, type DisplayState } from "./display-state";

const BOX_WIDTH = 0.72; // cell widths
const GROUND: Record<string, string> = { light: "#dfe5ea", dark: "#1d262e" };
const VIEW_ANGLE = 45; // degrees

export class FloorScene {
  readonly canvas = document.createElement("canvas");
  readonly #renderer: WebGLRenderer;
  readonly #scene = new Scene();
  readonly #camera = new PerspectiveCamera(VIEW_ANGLE, 1, 0.1, 2_000);
  readonly #controls: MapControls;
  readonly #box = new BoxGeometry(BOX_WIDTH, 1, BOX_WIDTH).translate(0, 0.5, 0);
  readonly #material = new MeshLambertMaterial();
  readonly #ground = new Mesh(new PlaneGeometry(1, 1).rotateX(-Math.PI / 2), new MeshBasicMaterial());
  readonly #highlightMesh = new Mesh(new PlaneGeometry(1, 1).rotateX(-Math.PI / 2), new MeshBasicMaterial({ color: "#ff00c8" }));
  #machines: InstancedMesh | null = null;
  #grid = new Grid(0);
  #frame = 0;
  #cameraMoved = false; // the user moved the camera

  constructor(container: HTMLElement, scope: Scope) {
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    container.append(this.canvas);
    this.#renderer = new WebGLRenderer({ canvas: this.canvas, antialias: devicePixelRatio < 2 });
    this.#renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.#controls = new MapControls(this.#camera, this.canvas);
    this.#controls.maxPolarAngle = Math.PI / 2.2;
    this.#controls.listenToKeyEvents(this.canvas);
    this.#controls.addEventListener("change", () => this.draw());
    this.#controls.addEventListener("start", () => (this.#cameraMoved = true));
    const sun = new DirectionalLight("#ffffff", 1.6);
    sun.position.set(40, 80, 30);
    this.#highlightMesh.visible = false;
    this.#scene.add(new HemisphereLight("#ffffff", "#8090a0", 2), sun, this.#ground, this.#highlightMesh);
    this.applyTheme();
    scope.observe(new ResizeObserver(() => this.#resize(container))).observe(container);
    this.#resize(container);
    scope.defer(() => this.#destroy());
  }

  /** Applies the colours of the theme. */
  applyTheme(): void {
    const colour = GROUND[document.documentElement.dataset.theme ?? "light"]!;
    this.#ground.material.color.set(colour);
    this.#scene.background = new Color(colour).multiplyScalar(0.92);
    this.draw();
  }

  /** Lays out all machines. */
  layOut(states: readonly DisplayState[]): void {
    this.#grid = new Grid(states.length);
    if (this.#machines) {
      this.#scene.remove(this.#machines);
      this.#machines.dispose();
    }
    this.#machines = new InstancedMesh(this.#box, this.#material, Math.max(1, states.length));
    this.#machines.count = states.length;
    this.#machines.instanceMatrix.setUsage(DynamicDrawUsage);
    states.forEach((state, index) => this.#setMachine(index, state));
    this.#machines.frustumCulled = false;
    this.#scene.add(this.#machines);
    this.#ground.scale.set(this.#grid.width + 4, 1, this.#grid.depth + 4);
    if (!this.#cameraMoved) this.#resetCamera();
    this.draw();
  }

  /** Updates the display state of some machines. */
  update(changes: Iterable<readonly [number, DisplayState]>): void {
    if (!this.#machines) return;
    for (const [index, state] of changes) this.#setMachine(index, state);
    this.#machines.instanceMatrix.needsUpdate = true;
    if (this.#machines.instanceColor) this.#machines.instanceColor.needsUpdate = true;
    this.draw();
  }

  highlight(index: number | null): void {
    this.#highlightMesh.visible = index !== null;
    if (index !== null) {
      const { x, z } = this.#grid.position(index);
      this.#highlightMesh.position.set(x, 0.02, z);
    }
    this.draw();
  }

  /** Index of the machine at a point of the window; null if there is none. */
  pick(clientX: number, clientY: number): number | null {
    const box = this.canvas.getBoundingClientRect();
    const caster = new Raycaster();
    caster.setFromCamera(new Vector2(((clientX - box.left) / box.width) * 2 - 1, 1 - ((clientY - box.top) / box.height) * 2), this.#camera);
    const point = caster.ray.intersectPlane(new Plane(new Vector3(0, 1, 0), 0), new Vector3());
    return point && this.#grid.indexAt(point);
  }

  /** Schedules a frame. The number of draw calls and the script time are stored in the canvas's dataset. */
  draw(): void {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      const started = performance.now();
      this.#renderer.render(this.#scene, this.#camera);
      this.canvas.dataset.milliseconds = (performance.now() - started).toFixed(2);
      this.canvas.dataset.calls = String(this.#renderer.info.render.calls);
    });
  }

  #setMachine(index: number, state: DisplayState): void {
    const { x, z } = this.#grid.position(index);
    const { colour, height } = STYLES[state];
    this.#machines!.setMatrixAt(index, MATRIX.makeScale(1, height, 1).setPosition(x, 0, z));
    this.#machines!.setColorAt(index, COLOUR.set(colour));
  }

  #resetCamera(): void {
    const distance = Math.max(8, this.#grid.depth * 1.4, (this.#grid.width * 1.4) / this.#camera.aspect);
    this.#camera.position.set(0, distance * 0.75, distance * 0.7);
    this.#controls.target.set(0, 0, 0);
    this.#controls.maxDistance = distance * 2;
    this.#controls.update();
  }

  #resize(container: HTMLElement): void {
    const { clientWidth, clientHeight } = container;
    if (!clientWidth || !clientHeight) return;
    this.#renderer.setSize(clientWidth, clientHeight, false);
    this.#camera.aspect = clientWidth / clientHeight;
    this.#camera.updateProjectionMatrix();
    this.draw();
  }

  #destroy(): void {
    cancelAnimationFrame(this.#frame);
    this.#controls.dispose();
    this.#machines?.dispose();
    this.#box.dispose();
    this.#material.dispose();
    for (const mesh of [this.#ground, this.#highlightMesh]) {
      mesh.geometry.dispose();
      mesh.material.dispose();
    }
    this.#renderer.dispose();
    releaseCanvas(this.canvas);
  }
}

const MATRIX = new Matrix4();
const COLOUR = new Color();
