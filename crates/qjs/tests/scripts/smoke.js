import { finish } from "./lib/assert.js";

finish();
