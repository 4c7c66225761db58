// Uploads a drawing by XMLHttpRequest, because fetch does not report the progress of uploads.

import { withAuthorization, Problem, type Summary } from "../api";

/** Uploads a file; `onProgress` receives percent. Continues when the user leaves the page. Throws Problem. */
export function upload(file: File, onProgress: (percent: number) => void): Promise<Summary> {
  const form = new FormData();
  form.append("blueprint", file, file.name);
  const request = new XMLHttpRequest();
  request.open("POST", "/renders");
  // If the browser repeats the request, the idempotency key prevents a second job.
  for (const [name, value] of Object.entries(withAuthorization({ "idempotency-key": randomKey() }))) request.setRequestHeader(name, value);
  request.upload.onprogress = (event) => event.lengthComputable && onProgress((100 * event.loaded) / event.total);
  return new Promise<Summary>((resolve, reject) => {
    request.onload = () => {
      if (request.status < 300) resolve(JSON.parse(request.responseText) as Summary);
      else reject(problemFrom(request));
    };
    request.onerror = () => reject(new Problem(0, "unreachable", `${file.name} was not uploaded because the connection was lost. Drop it again.`));
    request.send(form);
  });
}

function problemFrom(request: XMLHttpRequest): Problem {
  try {
    const body = JSON.parse(request.responseText) as { code: string; detail: string };
    return new Problem(request.status, body.code, body.detail);
  } catch {
    return new Problem(request.status, "http-error", `The server responded with status ${request.status}. Try again.`);
  }
}

function randomKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
