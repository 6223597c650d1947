"""Questions about food over a made-up retailer: recipes, a basket, and the nearest store that can fill it."""
