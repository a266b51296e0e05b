// The same load as open_loop.py, by k6: requests arrive at a constant rate, whatever the server does meanwhile.
//   k6 run -e BASE=http://127.0.0.1:17070 -e RATE=500 -e IDS=ids.txt bench/load/views.k6.js
import http from "k6/http";
import { check } from "k6";

const base = __ENV.BASE || "http://127.0.0.1:17070";
const known = __ENV.IDS ? open(__ENV.IDS).split("\n").filter((line) => line) : ["-JinobXWPk"];

export const options = {
  scenarios: {
    views: {
      executor: "constant-arrival-rate",
      rate: Number(__ENV.RATE || 500),
      timeUnit: "1s",
      duration: __ENV.DURATION || "1m",
      preAllocatedVUs: 1000,
      maxVUs: 1000,
    },
  },
  thresholds: { http_req_duration: ["p(99)<100"], http_req_failed: ["rate==0"], dropped_iterations: ["count==0"] },
};

export default function () {
  const id =
    Math.random() < 0.2
      ? `nobody-${Math.floor(Math.random() * 10000)}`
      : known[Math.floor(Math.random() * known.length)];
  const answer = http.get(`${base}/v1/videos/${id}/views`, { tags: { name: "/v1/videos/{id}/views" } });
  check(answer, { "status is 200": (each) => each.status === 200 });
}
