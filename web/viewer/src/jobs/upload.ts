// Sending a drawing. XMLHttpRequest, because fetch does not tell how much of a body is sent.

import { authorised, Problem, type Summary } from "../api";

/** Throws Problem. `sent` is told percent. It goes on while other pages of this one are looked at. */
export function upload(file: File, sent: (percent: number) => void): Promise<Summary> {
  const form = new FormData();
  form.append("blueprint", file, file.name);
  const request = new XMLHttpRequest();
  request.open("POST", "/renders");
  // Should the answer be lost and the browser send it again, it is still the same job.
  for (const [name, value] of Object.entries(authorised({ "idempotency-key": randomKey() }))) request.setRequestHeader(name, value);
  request.upload.onprogress = (event) => event.lengthComputable && sent((100 * event.loaded) / event.total);
  return new Promise<Summary>((resolve, reject) => {
    request.onload = () => {
      if (request.status < 300) resolve(JSON.parse(request.responseText) as Summary);
      else reject(problemIn(request));
    };
    request.onerror = () => reject(new Problem(0, "unreachable", `${file.name} was not sent: the connection broke. Drop it again.`));
    request.send(form);
  });
}

function problemIn(request: XMLHttpRequest): Problem {
  try {
    const told = JSON.parse(request.responseText) as { code: string; detail: string };
    return new Problem(request.status, told.code, told.detail);
  } catch {
    return new Problem(request.status, "http-error", `The server answered ${request.status}. Try again.`);
  }
}

function randomKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
