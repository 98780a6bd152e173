import english from "./dumbwaiter.en.js";

export default { ...english, language: "fr" };
