import { Dashboard, Tus, Uppy, XHRUpload } from "./vendor/uppy.js";
import { follow } from "./follow.js";

const dashboard = (target) => ({ target, inline: true, width: "100%", height: 300, theme: "auto", proudlyDisplayPoweredByUppy: false, hidePauseResumeButton: false });

new Uppy({ id: "by-form" }).use(Dashboard, dashboard("#xhr")).use(XHRUpload, {
  endpoint: "upload",
  headers: (file) => ({ "X-Progress-ID": follow(file.name) }),
  // Else every refusal is sent three times more, and nobody is told why.
  shouldRetry: (xhr) => xhr.status === 0 || xhr.status >= 500,
  onAfterResponse(xhr) {
    if (xhr.status >= 400) throw new Error(JSON.parse(xhr.responseText).detail);
  },
});

new Uppy({ id: "by-tus" }).use(Dashboard, dashboard("#tus")).use(Tus, {
  endpoint: "files/",
  headers: (file) => ({ "X-Progress-ID": follow(file.name, `tus-${file.id}`) }),
  retryDelays: [0, 1000, 3000, 5000],
});
